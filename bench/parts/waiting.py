"""What waits: a long backlog, many jobs that become due at once, one owner's many beside another's few."""

from __future__ import annotations

import secrets
import time
from datetime import datetime, timedelta
from typing import cast

import psycopg
from sqlalchemy import func, select

from bench.callboard_drain import Callboard, callboard_on_rabbitmq, new_job, noops, submit_jobs
from bench.drains import Shape
from bench.effort import Effort
from bench.parts.drain import ON_RABBITMQ
from bench.results import Figure, Part, Series
from bench.services import Services
from callboard.db.settings import Settings

BACKLOG = "backlog"
DUE = 1000

_SHAPE = Shape(1, 32)
_FEW = 10
_SETTLE = 1.0
_LAY_UP = """
    INSERT INTO callboard.jobs (
        id, created_at, type, queue, status, priority, owner, payload, max_retries, time_limit
    )
    SELECT uuidv7(), now(), 'diagnostics.noop', 'diagnostics', 'queued', 5, %s, '{}', 3, 600
    FROM generate_series(1, %s)
"""


def measure_waiting(services: Services, effort: Effort) -> Part:
    part = Part(effort.scale_rounds)
    _backlog(services, effort, part)
    with callboard_on_rabbitmq(services, _SHAPE) as callboard:
        due = [_due_at_once(callboard) for _ in range(effort.scale_rounds)]
        for name, index in (("p50", DUE // 2), ("p99", DUE * 99 // 100), ("the last", DUE - 1)):
            part.figures[f"{DUE:,} jobs due in one second: late by, {name}"] = Figure(
                [each[index] for each in due], "ms"
            )
        crowds = [_beside_a_crowd(callboard, effort.crowd) for _ in range(effort.scale_rounds)]
        part.figures[f"{_FEW} jobs of one owner, after {effort.crowd:,} of another: the last started after"] = Figure(
            [few for few, _ in crowds], "ms"
        )
        part.figures[f"the last of the {effort.crowd:,} started after"] = Figure([many for _, many in crowds], "ms")
    return part


def _backlog(services: Services, effort: Effort, part: Part) -> None:
    rates: list[list[float]] = []
    cpu: dict[str, list[list[float]]] = {}
    settings = services.new_database()
    with callboard_on_rabbitmq(services, _SHAPE, settings=settings) as callboard:
        waiting, owner = 0, secrets.token_hex(4)
        for size in effort.backlogs:
            with psycopg.connect(settings.require_database_url(), autocommit=True) as connection:
                connection.execute(_LAY_UP, [owner, size - waiting])
                connection.execute("VACUUM ANALYZE callboard.jobs")
                connection.execute("CHECKPOINT")
            drained = []
            for _ in range(effort.scale_rounds):
                time.sleep(_SETTLE)  # what was under way when the queue was paused is none of the next round's
                drained.append(callboard.release(effort.scale_jobs, owner))
            with psycopg.connect(settings.require_database_url()) as connection:
                waiting = cast("tuple[int]", connection.execute("SELECT count(*) FROM callboard.jobs").fetchone())[0]
            rates.append([each.per_second for each in drained])
            for name in ("dispatcher", "postgresql", "worker"):
                cpu.setdefault(name, []).append([each.cpu_ms_per_job[name] for each in drained])
    sizes = [float(size) for size in effort.backlogs]
    part.series[BACKLOG] = Series("Backlog", "jobs that wait at the beginning", "jobs/s", sizes, {ON_RABBITMQ: rates})
    part.series["backlog_cpu"] = Series("Backlog: CPU time", "jobs that wait at the beginning", "ms a job", sizes, cpu)


def _due_at_once(callboard: Callboard) -> list[float]:
    """Return by how many milliseconds each job started late, ascending."""
    owner = secrets.token_hex(4)
    with callboard.database.begin() as connection:
        due = connection.execute(select(func.date_trunc("second", func.now()))).scalar_one() + timedelta(seconds=4)
    submit_jobs(callboard.database, [new_job(owner, scheduled_at=due) for _ in range(DUE)])
    callboard.pause(paused=False)
    callboard.wait(DUE, owner)
    return _started(callboard.settings, owner, due)


def _beside_a_crowd(callboard: Callboard, crowd: int) -> tuple[float, float]:
    """Return after how many milliseconds the last of the few and the last of the many started."""
    callboard.pause(paused=True)
    many, few = secrets.token_hex(4), secrets.token_hex(4)
    submit_jobs(callboard.database, noops(crowd, many))
    submit_jobs(callboard.database, noops(_FEW, few))
    with callboard.database.begin() as connection:
        began = connection.execute(select(func.clock_timestamp())).scalar_one()
    callboard.pause(paused=False)
    callboard.wait(_FEW, few)
    callboard.wait(crowd, many)
    return _started(callboard.settings, few, began)[-1], _started(callboard.settings, many, began)[-1]


def _started(settings: Settings, owner: str, since: datetime) -> list[float]:
    with psycopg.connect(settings.require_database_url()) as connection:
        found = connection.execute(
            "SELECT extract(epoch FROM started_at - %s)::float8 * 1000 FROM callboard.job_history "
            "WHERE owner = %s ORDER BY started_at",
            [since, owner],
        ).fetchall()
    return [float(each) for (each,) in found]
