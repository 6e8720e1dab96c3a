"""Callboard works off a backlog, through RabbitMQ or embedded."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic import SecretStr
from sqlalchemy import update

from bench.drains import Measured, Record, Shape
from bench.services import Services
from bench.system import QUEUE, System, running
from callboard.db.models import queues
from callboard.db.rules.ids import new_id
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.db.sql.notify import notify_dispatcher
from callboard.db.transitions import NewJob, SubmissionRequest, submit
from tests.services.rabbitmq import fresh_vhost

#: Makes so many jobs of an owner.
Make = Callable[[int, str], list[NewJob]]

_JOB_TYPE = "diagnostics.noop"
_AT_ONCE = 1000
_MOST_BYTES_AT_ONCE = 4_000_000
# Enough for each statement of each process to be prepared.
_WARM_UP = 500
_DONE = "FROM callboard.job_history WHERE owner = %(mark)s AND status = 'succeeded'"


class Callboard:
    """The jobs are in PostgreSQL before the clock starts; publishing them is part of the work."""

    def __init__(self, services: Services, system: System, database: Database, names: Sequence[str]) -> None:
        self.database = database
        self._services = services
        self._system = system
        self._queues = names

    @property
    def settings(self) -> Settings:
        return self._system.settings

    @property
    def parts(self) -> dict[str, list[int]]:
        """Process ids by part of the system."""
        roles = {role: [child.pid for child in children] for role, children in self._system.children.items()}
        return roles | self._services.parts

    def drain(self, jobs: int, make: Make | None = None) -> Measured:
        """Lay up a backlog, work it off, and say how it went; ``make`` makes other jobs than those that do nothing."""
        self.pause(paused=True)
        batch = secrets.token_hex(4)
        submit_jobs(self.database, (make or noops)(jobs, batch))
        return self.release(jobs, batch)

    def release(self, jobs: int, owner: str) -> Measured:
        """Let the queues run until so many more jobs of an owner are done, pause them, and say how it went."""
        record = self._record(owner)
        already = record.count()
        self.pause(paused=False)
        drained = record.watch(jobs, already=already, parts=self.parts, check=self._system.check)
        self.pause(paused=True)
        return drained

    def wait(self, jobs: int, owner: str) -> None:
        """Return when an owner has so many jobs that are done."""
        self._record(owner).wait(jobs, check=self._system.check)

    def _record(self, owner: str) -> Record:
        return Record(self.settings.require_database_url(), _DONE, owner)

    def pause(self, *, paused: bool) -> None:
        """Pause the queues or let them run."""
        self.set_queues(paused=paused)

    def set_queues(self, **values: object) -> None:
        """Change settings of all queues; the dispatcher acts on them at once."""
        with self.database.begin() as connection:
            connection.execute(update(queues).where(queues.c.name.in_(self._queues)).values(**values))
        notify_dispatcher(self.database)


def noops(jobs: int, owner: str) -> list[NewJob]:
    """Make jobs that do nothing."""
    return [new_job(owner) for _ in range(jobs)]


def new_job(owner: str, **values: Any) -> NewJob:
    """Make a job that does nothing, or what ``values`` say."""
    defaults: dict[str, Any] = {
        "type": _JOB_TYPE,
        "queue": QUEUE,
        "payload": b"{}",
        "priority": 5,
        "max_retries": 3,
        "time_limit": 600.0,
    }
    return NewJob(id=new_id(), owner=owner, **(defaults | values))


def submit_jobs(database: Database, new: Sequence[NewJob]) -> None:
    """Store jobs, durable on return."""
    at_once = max(1, min(_AT_ONCE, _MOST_BYTES_AT_ONCE // max(len(job.payload) for job in new)))
    for start in range(0, len(new), at_once):
        with database.begin() as connection:
            submit(connection, [SubmissionRequest(new[start : start + at_once])])


@contextmanager
def callboard_on_rabbitmq(
    services: Services,
    shape: Shape,
    *,
    settings: Settings | None = None,
    names: Sequence[str] = (QUEUE,),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Callboard]:
    """Yield a dispatcher and worker processes, with a database of their own unless ``settings`` name one."""
    with fresh_vhost(services.rabbitmq) as url:
        settings = (settings or services.new_database()).model_copy(update={"amqp_url": SecretStr(url)})
        roles = [("dispatcher", {}), *[("worker", {"threads": shape.threads})] * shape.processes]
        with _contestant(services, settings, roles, names, environment or {}) as contestant:
            yield contestant


@contextmanager
def callboard_embedded(services: Services, threads: int) -> Iterator[Callboard]:
    """Yield one process that dispatches and works, with messages in memory."""
    with _contestant(services, services.new_database(), [("work", {"threads": threads})], (QUEUE,), {}) as contestant:
        yield contestant


@contextmanager
def _contestant(
    services: Services,
    settings: Settings,
    roles: Sequence[tuple[str, dict[str, int]]],
    names: Sequence[str],
    environment: Mapping[str, str],
) -> Iterator[Callboard]:
    database = Database(settings, role="bench", pool_size=2)
    try:
        with running(services, settings, roles, names=names, environment=environment) as system:
            contestant = Callboard(services, system, database, names)
            contestant.drain(_WARM_UP)
            yield contestant
    finally:
        database.close()
