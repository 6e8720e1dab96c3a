"""Dramatiq alone works off a backlog: what Callboard could at best reach."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bench.drains import SKIPPED, TIMEOUT, Measured, Meter, Shape
from bench.processes import BenchFailed, Child, stopping
from bench.raw_dramatiq import MIX, Actors, make_actors
from bench.services import Services
from tests.services.rabbitmq import fresh_vhost

_LOOK_EVERY = 0.01


class RawDramatiq:
    """Persistent messages, published before the clock starts; nothing is stored about them."""

    def __init__(self, services: Services, url: str, workers: Sequence[Child], queue: str) -> None:
        self._services = services
        self._vhost = url.rpartition("/")[2]
        self._actors = make_actors(url, queue)
        self._workers = workers
        self._queues = (queue, f"{queue}.DQ")

    def drain(self, jobs: int, send: Callable[[Actors, int], object] | None = None) -> Measured:
        """Lay up a backlog, work it off, and say how it went.

        Args:
            jobs: how many.
            send: sends one, given its number; default: a job that does nothing.
        """
        for number in range(jobs):
            if send is None:
                self._actors.noop.send()
            else:
                send(self._actors, number)
        while self._left() < jobs:
            time.sleep(_LOOK_EVERY)
        for each in self._workers:
            each.tell("go")
        drained = self._watch(jobs)
        self._stop()
        return drained

    def _watch(self, jobs: int) -> Measured:
        give_up_at = time.monotonic() + TIMEOUT
        began_at, began_with, meter = time.monotonic(), jobs, self._meter()
        while left := self._left():
            if began_with == jobs and left <= jobs * (1 - SKIPPED):
                began_at, began_with, meter = time.monotonic(), left, self._meter()
            if time.monotonic() > give_up_at:
                raise BenchFailed(f"{left} of {jobs} messages were still there after {TIMEOUT:.0f} s")
            time.sleep(_LOOK_EVERY)
        took = time.monotonic() - began_at
        return Measured(began_with / took, meter.cpu_ms_per_job(began_with), meter.memory_mb())

    def _meter(self) -> Meter:
        return Meter({"worker": [each.pid for each in self._workers]} | self._services.parts)

    def _stop(self) -> None:
        for each in self._workers:
            each.answer()
            each.tell("stop")
        for each in self._workers:
            each.answer()

    def _left(self) -> int:
        """Messages, those included that a worker has not acknowledged, and those that wait for a retry."""
        return sum(self._services.rabbitmq.messages(self._vhost, each) for each in self._queues)


@contextmanager
def raw_dramatiq(services: Services, shape: Shape, *, mix: bool = False) -> Iterator[RawDramatiq]:
    """Yield worker processes that wait to be told to go; ``mix``: they can run that actor."""
    queue = f"bench_{secrets.token_hex(4)}"
    with fresh_vhost(services.rabbitmq) as url:
        workers = [
            Child(
                "bench.raw_dramatiq",
                queue,
                str(shape.threads),
                environment={"BENCH_AMQP_URL": url} | ({MIX: "1"} if mix else {}),
                log=services.directory / "raw_dramatiq.log",
            )
            for _ in range(shape.processes)
        ]
        with stopping(workers):
            yield RawDramatiq(services, url, workers, queue)
