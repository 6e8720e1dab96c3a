"""From a request to the first line of an actor, with Dramatiq alone: what Callboard's latency could at best be."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

from bench.api import free_port, wait_for
from bench.processes import Child, stopping
from bench.services import Services
from tests.services.rabbitmq import fresh_vhost

_TIMEOUT = 30.0


@contextmanager
def dramatiq_behind_endpoint(services: Services, threads: int) -> Iterator[Callable[[], float]]:
    """Yield what sends one request and returns the milliseconds from before it to when its actor ran.

    There are an endpoint that sends a message and waits for the confirm, RabbitMQ, and a worker process of so many
    threads. Nothing is stored about jobs.
    """
    queue, port = f"bench_{secrets.token_hex(4)}", free_port()
    log = services.directory / "dramatiq_latency.log"
    with fresh_vhost(services.rabbitmq) as url:
        environment = {"BENCH_AMQP_URL": url}
        with (
            stopping(
                [
                    Child("bench.raw_dramatiq", queue, str(threads), environment=environment, log=log),
                    Child("bench.dramatiq_app", str(port), str(os.getpid()), queue, environment=environment, log=log),
                ]
            ) as (worker, _),
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=_TIMEOUT) as client,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as told,
        ):
            told.bind(("127.0.0.1", 0))
            told.settimeout(_TIMEOUT)
            path = f"/clock/{told.getsockname()[1]}"

            def send_one() -> float:
                sent_at = time.time()
                client.post(path).raise_for_status()
                return (float(told.recv(100)) - sent_at) * 1000

            worker.tell("go")
            worker.answer()
            wait_for(port)
            yield send_one
