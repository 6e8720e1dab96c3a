"""How fast a backlog of jobs that do nothing is worked off."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

import orjson
import psycopg
from pydantic import SecretStr
from sqlalchemy import func, select, update

from bench.processes import BenchFailed, Child, cpu_seconds, stopping
from bench.raw_dramatiq import make_actor
from bench.services import Services
from db.dispatch import notify_dispatcher
from db.engine import Database
from db.ids import new_id
from db.models import job_history, queues
from db.settings import Settings
from db.transitions import NewJob, Request, submit
from tests.services.rabbitmq import fresh_vhost

QUEUE = "diagnostics"
JOB_TYPE = "diagnostics.noop"
# Starting up and the first of everything are not what is measured.
_SKIPPED = 0.1
_TIMEOUT = 120.0


@dataclass(frozen=True, slots=True)
class Shape:
    """Worker processes, and threads in each."""

    processes: int
    threads: int

    def __str__(self) -> str:
        return f"{self.processes} × {self.threads}"


@dataclass(frozen=True, slots=True)
class Drained:
    """One drain: the rate over all but the first tenth, and what it cost."""

    per_second: float
    cpu_ms_per_job: dict[str, float]
    """Milliseconds of CPU time by part of the system."""


class Contestant(Protocol):
    """Something that can work off a backlog."""

    def drain(self, jobs: int) -> Drained:
        """Lay up a backlog, work it off, and say how it went."""
        ...


class _Meter:
    """CPU time by part of the system."""

    def __init__(self, parts: dict[str, Sequence[int]]) -> None:
        self._parts = parts
        self._before = self._now()

    def per_job(self, jobs: int) -> dict[str, float]:
        return {part: (after - self._before[part]) / jobs * 1000 for part, after in self._now().items()}

    def _now(self) -> dict[str, float]:
        return {part: sum(map(cpu_seconds, pids)) for part, pids in self._parts.items()}


class RawDramatiq:
    """Dramatiq's own workers on the same RabbitMQ: persistent messages, published before the clock starts."""

    def __init__(self, services: Services, url: str, workers: Sequence[Child], queue: str) -> None:
        self._services = services
        self._vhost = url.rpartition("/")[2]
        self._actor = make_actor(url, queue)
        self._workers = workers
        self._queue = queue

    def drain(self, jobs: int) -> Drained:
        for _ in range(jobs):
            self._actor.send()
        while self._waiting() < jobs:
            time.sleep(0.01)
        meter = _Meter(
            {"worker": [each.pid for each in self._workers], "rabbitmq": [self._services.rabbitmq.pid]}
        )
        for each in self._workers:
            each.tell("go")
        began_at, began_with = 0.0, jobs
        give_up_at = time.monotonic() + _TIMEOUT
        while left := self._waiting():
            if began_with == jobs and left <= jobs * (1 - _SKIPPED):
                began_at, began_with = time.monotonic(), left
            if time.monotonic() > give_up_at:
                raise BenchFailed(f"{left} of {jobs} messages were still there after {_TIMEOUT:.0f} s")
            time.sleep(0.01)
        rate = began_with / (time.monotonic() - began_at)
        cost = meter.per_job(jobs)
        for each in self._workers:
            each.answer()
            each.tell("stop")
        for each in self._workers:
            each.answer()
        return Drained(rate, cost)

    def _waiting(self) -> int:
        """Messages in the queue, those included that a worker has not acknowledged."""
        return self._services.rabbitmq.messages(self._vhost, self._queue)


@contextmanager
def raw_dramatiq(services: Services, shape: Shape) -> Iterator[RawDramatiq]:
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


class Callboard:
    """Callboard's processes. The jobs are in PostgreSQL before the clock starts; publishing them is part of the work."""

    def __init__(self, services: Services, settings: Settings, parts: dict[str, Sequence[Child]]) -> None:
        self._services = services
        self._settings = settings
        self._database = Database(settings, role="bench", pool_size=2)
        self._parts = parts

    def drain(self, jobs: int) -> Drained:
        self._pause(paused=True)
        batch = secrets.token_hex(4)
        ids = [new_id() for _ in range(jobs)]
        for start in range(0, jobs, 1000):
            with self._database.begin() as connection:
                submit(connection, [Request([_job(job_id, batch) for job_id in ids[start : start + 1000]])])
        meter = _Meter(
            {part: [each.pid for each in children] for part, children in self._parts.items()}
            | {"postgresql": [self._services.postgres_pid], "rabbitmq": [self._services.rabbitmq.pid]}
        )
        self._pause(paused=False)
        give_up_at = time.monotonic() + _TIMEOUT
        while not (times := self._finish_times(batch, jobs)):
            if time.monotonic() > give_up_at:
                raise BenchFailed(f"{jobs} jobs were not done after {_TIMEOUT:.0f} s")
            for each in (child for children in self._parts.values() for child in children):
                each.check()
            time.sleep(0.05)
        first = int(jobs * _SKIPPED)
        return Drained((jobs - first) / (times[-1] - times[first]), meter.per_job(jobs))

    def close(self) -> None:
        self._database.close()

    def _pause(self, *, paused: bool) -> None:
        with self._database.begin() as connection:
            connection.execute(update(queues).where(queues.c.name == QUEUE).values(paused=paused))
        with self._database.begin() as connection:
            notify_dispatcher(connection)

    def _finish_times(self, owner: str, jobs: int) -> list[float]:
        """Return when each job ended, in seconds, in order; nothing before all have."""
        mine = job_history.c.owner == owner
        with self._database.begin() as connection:
            if connection.execute(select(func.count()).where(mine)).scalar_one() < jobs:
                return []
            ended = func.extract("epoch", job_history.c.finished_at)
            return [float(each) for each in connection.execute(select(ended).where(mine).order_by(ended)).scalars()]


def _job(job_id: object, owner: str) -> NewJob:
    return NewJob(job_id, JOB_TYPE, QUEUE, owner, b"{}", priority=5, max_retries=3, time_limit=600.0)  # type: ignore[arg-type]


@contextmanager
def callboard_on_rabbitmq(services: Services, shape: Shape) -> Iterator[Callboard]:
    settings = services.new_database()
    with fresh_vhost(services.rabbitmq) as url:
        settings = settings.model_copy(update={"amqp_url": SecretStr(url)})
        roles = [("dispatcher", {}), *[("worker", {"threads": shape.threads})] * shape.processes]
        with _callboard(services, settings, roles) as contestant:
            yield contestant


@contextmanager
def callboard_embedded(services: Services, threads: int) -> Iterator[Callboard]:
    with _callboard(services, services.new_database(), [("work", {"threads": threads})]) as contestant:
        yield contestant


@contextmanager
def _callboard(services: Services, settings: Settings, roles: Sequence[tuple[str, dict[str, int]]]) -> Iterator[Callboard]:
    environment = {
        "CALLBOARD_DATABASE_URL": settings.require_database_url(),
        "CALLBOARD_DIAGNOSTICS": "true",
        "CALLBOARD_LOG_LEVEL": "warning",
        "CALLBOARD_FILES_URL": (services.directory / "files").as_uri(),
    }
    (services.directory / "files").mkdir(exist_ok=True)
    if settings.amqp_url is not None:
        environment["CALLBOARD_AMQP_URL"] = settings.amqp_url.get_secret_value()
    parts: dict[str, list[Child]] = {}
    with ExitStack() as stack:
        for role, options in roles:
            child = Child(
                "callboard.processes.child",
                role,
                str(os.getpid()),
                orjson.dumps(options).decode(),
                environment=environment,
                log=services.directory / f"{role}.log",
            )
            stack.callback(child.stop)
            parts.setdefault(role, []).append(child)
        contestant = Callboard(services, settings, parts)
        stack.callback(contestant.close)
        _wait_until_registered(settings, parts)
        contestant.drain(200)
        yield contestant


def _wait_until_registered(settings: Settings, parts: dict[str, list[Child]]) -> None:
    expected = len(parts.get("worker", ())) + len(parts.get("work", ()))
    give_up_at = time.monotonic() + 30
    with psycopg.connect(settings.require_database_url(), autocommit=True) as connection:
        while True:
            row = connection.execute(
                "SELECT count(*) FROM callboard.workers WHERE EXISTS (SELECT FROM callboard.queues WHERE name = %s)", [QUEUE]
            ).fetchone()
            if row is not None and row[0] >= expected:
                return
            for each in (child for children in parts.values() for child in children):
                each.check()
            if time.monotonic() > give_up_at:
                raise BenchFailed("the workers did not register")
            time.sleep(0.02)
