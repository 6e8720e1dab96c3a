"""A private, throwaway S3 server for tests: moto's, spoken to over HTTP."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what moto's dependencies say about themselves is not ours
    from moto.server import ThreadedMotoServer

BUCKET = "callboard-test"


@contextmanager
def private_s3() -> Iterator[str]:
    """Yield the endpoint of a server of its own, which holds one empty bucket, :data:`BUCKET`."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        httpx.post(f"{endpoint}/moto-api/reset").raise_for_status()  # its memory outlives the server
        httpx.put(f"{endpoint}/{BUCKET}").raise_for_status()
        yield endpoint
    finally:
        server.stop()
