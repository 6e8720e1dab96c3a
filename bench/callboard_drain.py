"""Callboard works off a backlog, through RabbitMQ or embedded."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr
from sqlalchemy import func, select, text, update

from bench.drains import SKIPPED, TIMEOUT, CpuMeter, Drained, Shape
from bench.processes import BenchFailed
from bench.services import Services
from bench.system import QUEUE, System, running
from db.dispatch import notify_dispatcher
from db.engine import Database
from db.ids import new_id
from db.models import job_history, queues
from db.settings import Settings
from db.transitions import NewJob, Request, submit
from tests.services.rabbitmq import fresh_vhost

_JOB_TYPE = "diagnostics.noop"
_AT_ONCE = 1000
# Enough for each statement of each process to be prepared.
_WARM_UP = 500


class Callboard:
    """The jobs are in PostgreSQL before the clock starts; publishing them is part of the work."""

    def __init__(self, services: Services, system: System, database: Database) -> None:
        self._services = services
        self._system = system
        self._database = database

    def drain(self, jobs: int) -> Drained:
        """Lay up a backlog, work it off, and say how it went."""
        self._pause(paused=True)
        batch = secrets.token_hex(4)
        submit_noops(self._database, jobs, owner=batch)
        meter = CpuMeter(
            {role: [child.pid for child in children] for role, children in self._system.children.items()}
            | {"postgresql": [self._services.postgres_pid], "rabbitmq": [self._services.rabbitmq.pid]}
        )
        self._pause(paused=False)
        give_up_at = time.monotonic() + TIMEOUT
        while not (times := self._finish_times(batch, jobs)):
            self._system.check()
            if time.monotonic() > give_up_at:
                raise BenchFailed(f"{jobs} jobs were not done after {TIMEOUT:.0f} s")
            time.sleep(0.1)
        first = int(jobs * SKIPPED)
        return Drained((jobs - first) / (times[-1] - times[first]), meter.per_job(jobs))

    def _pause(self, *, paused: bool) -> None:
        with self._database.begin() as connection:
            connection.execute(update(queues).where(queues.c.name == QUEUE).values(paused=paused))
        with self._database.begin() as connection:
            notify_dispatcher(connection)

    def _finish_times(self, owner: str, jobs: int) -> list[float]:
        """Return when each job ended, in seconds, in order; nothing before all have."""
        mine = job_history.c.owner == owner
        ended = func.extract("epoch", job_history.c.finished_at)
        with self._database.begin() as connection:
            if connection.execute(select(func.count()).where(mine)).scalar_one() < jobs:
                return []
            return [float(each) for each in connection.execute(select(ended).where(mine).order_by(ended)).scalars()]


def submit_noops(database: Database, jobs: int, *, owner: str) -> None:
    """Make jobs that do nothing, queued and durable on return."""
    new = [
        NewJob(new_id(), _JOB_TYPE, QUEUE, owner, b"{}", priority=5, max_retries=3, time_limit=600.0)
        for _ in range(jobs)
    ]
    for start in range(0, jobs, _AT_ONCE):
        with database.begin() as connection:
            submit(connection, [Request(new[start : start + _AT_ONCE])])


@contextmanager
def callboard_on_rabbitmq(services: Services, shape: Shape, *, log_statements: bool = False) -> Iterator[Callboard]:
    """Yield a dispatcher and worker processes; ``log_statements`` has PostgreSQL log all that they send."""
    settings = services.new_database()
    with fresh_vhost(services.rabbitmq) as url:
        settings = settings.model_copy(update={"amqp_url": SecretStr(url)})
        roles = [("dispatcher", {}), *[("worker", {"threads": shape.threads})] * shape.processes]
        with _contestant(services, settings, roles, log_statements=log_statements) as contestant:
            yield contestant


@contextmanager
def callboard_embedded(services: Services, threads: int) -> Iterator[Callboard]:
    """Yield one process that dispatches and works, with messages in memory."""
    with _contestant(services, services.new_database(), [("work", {"threads": threads})]) as contestant:
        yield contestant


@contextmanager
def _contestant(
    services: Services, settings: Settings, roles: list[tuple[str, dict[str, int]]], *, log_statements: bool = False
) -> Iterator[Callboard]:
    database = Database(settings, role="bench", pool_size=2)
    try:
        with database.begin() as connection:
            if log_statements:
                # For connections that are made from now on: not for this one.
                name = connection.execute(text("SELECT quote_ident(current_database())")).scalar_one()
                connection.execute(text(f"ALTER DATABASE {name} SET log_statement = 'all'"))
        with running(services, settings, roles) as system:
            contestant = Callboard(services, system, database)
            contestant.drain(_WARM_UP)
            yield contestant
    finally:
        database.close()
