"""Dramatiq alone works off a backlog: what Callboard could at best reach."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.drains import SKIPPED, TIMEOUT, CpuMeter, Drained, Shape
from bench.processes import BenchFailed, Child, stopping
from bench.raw_dramatiq import make_actor
from bench.services import Services
from tests.services.rabbitmq import fresh_vhost

_LOOK_EVERY = 0.01


class RawDramatiq:
    """Persistent messages, published before the clock starts; nothing is stored about them."""

    def __init__(self, services: Services, url: str, workers: Sequence[Child], queue: str) -> None:
        self._services = services
        self._vhost = url.rpartition("/")[2]
        self._actor = make_actor(url, queue)
        self._workers = workers
        self._queue = queue

    def drain(self, jobs: int) -> Drained:
        """Lay up a backlog, work it off, and say how it went."""
        for _ in range(jobs):
            self._actor.send()
        while self._left() < jobs:
            time.sleep(_LOOK_EVERY)
        meter = CpuMeter({"worker": [each.pid for each in self._workers], "rabbitmq": [self._services.rabbitmq.pid]})
        for each in self._workers:
            each.tell("go")
        began_at, began_with = time.monotonic(), jobs
        give_up_at = began_at + TIMEOUT
        while left := self._left():
            if began_with == jobs and left <= jobs * (1 - SKIPPED):
                began_at, began_with = time.monotonic(), left
            if time.monotonic() > give_up_at:
                raise BenchFailed(f"{left} of {jobs} messages were still there after {TIMEOUT:.0f} s")
            time.sleep(_LOOK_EVERY)
        drained = Drained(began_with / (time.monotonic() - began_at), meter.per_job(jobs))
        self._stop()
        return drained

    def _stop(self) -> None:
        for each in self._workers:
            each.answer()
            each.tell("stop")
        for each in self._workers:
            each.answer()

    def _left(self) -> int:
        """Messages in the queue, those included that a worker has not acknowledged."""
        return self._services.rabbitmq.messages(self._vhost, self._queue)


@contextmanager
def raw_dramatiq(services: Services, shape: Shape) -> Iterator[RawDramatiq]:
    """Yield worker processes that wait to be told to go."""
    queue = f"bench_{secrets.token_hex(4)}"
    with fresh_vhost(services.rabbitmq) as url:
        workers = [
            Child(
                "bench.raw_dramatiq",
                queue,
                str(shape.threads),
                environment={"BENCH_AMQP_URL": url},
                log=services.directory / "raw_dramatiq.log",
            )
            for _ in range(shape.processes)
        ]
        with stopping(workers):
            yield RawDramatiq(services, url, workers, queue)
