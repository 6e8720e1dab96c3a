"""From a client's submission to the first line of the handler, with nothing else to do."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
from pydantic import SecretStr

from bench.http import serving_api
from bench.jobs import CLOCK
from bench.processes import BenchFailed
from bench.services import Services
from tests.services.rabbitmq import fresh_vhost

THREADS = 8
_PAUSE = (0.02, 0.08)
_WARM_UP = 20
_TIMEOUT = 20.0


def measure_latency(services: Services, *, jobs: int, embedded: bool) -> list[float]:
    """Return the milliseconds from before each request was sent to when its handler ran, sorted."""
    with _idle_system(services, embedded=embedded) as client:
        for _ in range(_WARM_UP):
            _submit_one(client)
        latencies = []
        for _ in range(jobs):
            time.sleep(random.uniform(*_PAUSE))
            latencies.append(_submit_one(client))
    return sorted(latencies)


def _submit_one(client: httpx.Client) -> float:
    sent_at = time.time()
    job = client.post("/v1/jobs", json={"type": CLOCK, "payload": None}).raise_for_status().json()
    while not job["done"]:
        if time.time() > sent_at + _TIMEOUT:
            raise BenchFailed(f"a job was not done within {_TIMEOUT:g} s: {job}")
        job = client.get(f"/v1/jobs/{job['id']}", params={"wait": _TIMEOUT}).raise_for_status().json()
    return float((job["result"] - sent_at) * 1000)


@contextmanager
def _idle_system(services: Services, *, embedded: bool) -> Iterator[httpx.Client]:
    settings = services.new_database()
    with ExitStack() as stack:
        options = {"threads": THREADS}
        roles = [("work", options)] if embedded else [("dispatcher", {}), ("worker", options)]
        if not embedded:
            url = stack.enter_context(fresh_vhost(services.rabbitmq))
            settings = settings.model_copy(update={"amqp_url": SecretStr(url)})
        port = stack.enter_context(serving_api(services, settings, roles))
        yield stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30))
