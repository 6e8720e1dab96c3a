"""Worker processes: their boots, heartbeats, stop requests, and the attempts of lost ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Connection,
    Double,
    Integer,
    RowMapping,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    case,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import array

from callboard.db.models import jobs, queues, workers
from callboard.db.rules.attempts import AttemptId
from callboard.db.rules.states import Status
from callboard.db.sql.rowset import each, rowset, rowset_of


class WorkerState(StrEnum):
    """State of one boot of a worker process."""

    RUNNING = "running"
    DRAINING = "draining"
    """Takes no new jobs, finishes those it has."""
    STOPPED = "stopped"
    """Ended by itself, without a running job."""
    LOST = "lost"
    """Not seen for ``lease_ttl`` seconds. For good: to go on, the process must register as a new boot."""


ALIVE = (WorkerState.RUNNING, WorkerState.DRAINING)


@dataclass(frozen=True, slots=True)
class WorkerBoot:
    """One start of one worker process."""

    id: UUID
    name: str
    host: str
    pid: int
    version: str
    queues: Sequence[str]
    threads: int
    types: Sequence[str] = ()
    """Job types that it knows."""


def register_worker(connection: Connection, boot: WorkerBoot) -> None:
    """Store a boot as running."""
    connection.execute(
        insert(workers).values(
            id=boot.id,
            name=boot.name,
            host=boot.host,
            pid=boot.pid,
            version=boot.version,
            queues=list(boot.queues),
            types=list(boot.types),
            threads=boot.threads,
            state=WorkerState.RUNNING,
            started_at=func.now(),
            last_seen_at=func.now(),
        )
    )


_heartbeat = (
    update(workers)
    .where(workers.c.id == bindparam("boot_id", type_=Uuid), workers.c.state.in_(ALIVE))
    .values(last_seen_at=func.now(), state=bindparam("new_state", type_=Text))
    .returning(workers.c.id)
)


def heartbeat(connection: Connection, worker_id: UUID, state: WorkerState) -> bool:
    """Record that this worker is alive, in ``state``; return False if it was declared lost and has lost its jobs."""
    parameters = {"boot_id": worker_id, "new_state": state}
    return connection.execute(_heartbeat, parameters).first() is not None


class StopReason(StrEnum):
    """Why a worker must stop an attempt that it runs."""

    CANCELLED = "cancelled"
    LEASE_LOST = "lease_lost"


_held = rowset(id=Uuid(), attempt=Integer())
_ours = and_(jobs.c.id == _held.c.id, jobs.c.attempt == _held.c.attempt, jobs.c.status == Status.RUNNING)
_asked_about, _job = each(_held, select(jobs.c.id, jobs.c.cancel_requested_at).where(_ours).limit(1), isouter=True)
_stop_requests = (
    select(
        _held.c.id,
        _held.c.attempt,
        case((_job.c.id.is_(None), StopReason.LEASE_LOST.value), else_=StopReason.CANCELLED.value).label("reason"),
    )
    .select_from(_asked_about)
    .where(or_(_job.c.id.is_(None), _job.c.cancel_requested_at.is_not(None)))
)


def stop_requests(connection: Connection, held: Iterable[AttemptId]) -> dict[AttemptId, StopReason]:
    """Return which of these running attempts are to stop: their cancel was requested, or they have been fenced out."""
    rows = connection.execute(_stop_requests, _parameters(held))
    return {AttemptId(row.id, row.attempt): StopReason(row.reason) for row in rows}


_unheld = (
    select(jobs.c.id, jobs.c.attempt)
    .select_from(jobs.outerjoin(_held, _ours))
    .where(
        jobs.c.dispatched_at.is_not(None),
        jobs.c.status == Status.RUNNING,
        jobs.c.worker_id == bindparam("boot_id", type_=Uuid),
        jobs.c.attempt_started_at
        < func.now() - func.make_interval(0, 0, 0, 0, 0, 0, bindparam("older_than", type_=Double)),
        _held.c.id.is_(None),
    )
    .order_by(jobs.c.id)
)


def unheld_attempts(
    connection: Connection, worker_id: UUID, held: Iterable[AttemptId], *, older_than: float
) -> list[AttemptId]:
    """Return the attempts that run on this worker according to the database, but are not among ``held``.

    A claim leaves such an attempt if it is committed and its response is lost; the worker releases it. Attempts younger
    than ``older_than`` seconds are left out: they may have been claimed since ``held`` was collected.
    """
    parameters = {**_parameters(held), "boot_id": worker_id, "older_than": older_than}
    return [AttemptId(row.id, row.attempt) for row in connection.execute(_unheld, parameters)]


def _parameters(held: Iterable[AttemptId]) -> dict[str, str]:
    return rowset_of({"id": job_id, "attempt": number} for job_id, number in sorted(held))


_declare_lost = (
    update(workers)
    .where(
        workers.c.state.in_(ALIVE),
        workers.c.last_seen_at < func.now() - func.make_interval(0, 0, 0, 0, 0, 0, bindparam("ttl", type_=Double)),
    )
    .values(state=WorkerState.LOST)
    .returning(workers.c.id, workers.c.name)
)


def declare_lost(connection: Connection, *, lease_ttl: float) -> list[tuple[UUID, str]]:
    """Declare the workers lost that were not seen for ``lease_ttl`` seconds; return their ids and names.

    From then on their heartbeats fail and their claims find nothing, so :func:`abandoned_attempts` can be rescued.
    """
    return [(row.id, row.name) for row in connection.execute(_declare_lost, {"ttl": lease_ttl})]


def declare_dead(connection: Connection, *, host: str, pid: int) -> None:
    """Declare a worker lost at once. The caller has seen its process end, on this host."""
    connection.execute(
        update(workers)
        .where(workers.c.host == host, workers.c.pid == pid, workers.c.state.in_(ALIVE))
        .values(state=WorkerState.LOST)
    )


# Running jobs are found through jobs_in_flight_idx: each has dispatched_at.
_abandoned = (
    select(
        jobs.c.id,
        jobs.c.attempt,
        jobs.c.type,
        jobs.c.queue,
        jobs.c.owner,
        jobs.c.retries,
        jobs.c.max_retries,
        jobs.c.cancel_requested_at,
        jobs.c.worker,
    )
    .select_from(jobs.outerjoin(workers, workers.c.id == jobs.c.worker_id))
    .where(
        jobs.c.dispatched_at.is_not(None),
        jobs.c.status == Status.RUNNING,
        or_(workers.c.id.is_(None), workers.c.state.not_in(ALIVE)),
    )
    .order_by(jobs.c.id)
    .limit(bindparam("limit", type_=Integer))
)


def abandoned_attempts(connection: Connection, *, limit: int = 1000) -> Sequence[RowMapping]:
    """Return running jobs whose worker is lost, stopped or unknown.

    Columns: ``id``, ``attempt``, ``type``, ``queue``, ``owner``, ``retries``, ``max_retries``, ``cancel_requested_at``,
    ``worker``. Their rescue is fenced by the attempt's number, so a job that has moved on meanwhile is not changed.
    """
    return connection.execute(_abandoned, {"limit": limit}).mappings().all()


@dataclass(frozen=True, slots=True)
class Workforce:
    """Who takes jobs, without names."""

    workers: int
    threads: int
    """Jobs that all workers together can run at a time."""
    by_queue: Sequence[RowMapping]
    """Every queue by ``queue``: its ``workers``, their ``threads``, and whether it is ``paused``. A worker may serve
    several.
    """


_takes_jobs = and_(
    workers.c.state == WorkerState.RUNNING,
    # Who declares workers lost may be away as well.
    workers.c.last_seen_at > func.now() - func.make_interval(0, 0, 0, 0, 0, 0, bindparam("ttl", type_=Double)),
)
_threads = func.coalesce(func.sum(workers.c.threads), 0).label("threads")
_workforce = select(func.count(workers.c.id).label("workers"), _threads).where(_takes_jobs)
_workforce_by_queue = (
    select(queues.c.name.label("queue"), queues.c.paused, func.count(workers.c.id).label("workers"), _threads)
    .select_from(queues.outerjoin(workers, and_(queues.c.name == any_(workers.c.queues), _takes_jobs)))
    .group_by(queues.c.name, queues.c.paused)
    .order_by(queues.c.name)
)


def read_workforce(connection: Connection, *, lease_ttl: float) -> Workforce:
    """Return how many workers take jobs: those that are not draining, and were seen within ``lease_ttl`` seconds."""
    all_together = connection.execute(_workforce, {"ttl": lease_ttl}).mappings().one()
    by_queue = connection.execute(_workforce_by_queue, {"ttl": lease_ttl}).mappings().all()
    return Workforce(**all_together, by_queue=by_queue)


def list_workers(connection: Connection, *, seen_within: float = 86_400.0) -> Sequence[RowMapping]:
    """Return the worker boots seen in the last ``seen_within`` seconds, each with the ids of its running ``jobs``."""
    running = (
        select(jobs.c.worker_id, func.array_agg(jobs.c.id, type_=ARRAY(Uuid)).label("jobs"))
        .where(jobs.c.dispatched_at.is_not(None), jobs.c.status == Status.RUNNING)
        .group_by(jobs.c.worker_id)
        .subquery()
    )
    statement = (
        select(*workers.c, func.coalesce(running.c.jobs, array([], type_=Uuid)).label("jobs"))
        .select_from(workers.outerjoin(running, running.c.worker_id == workers.c.id))
        .where(workers.c.last_seen_at > func.now() - func.make_interval(0, 0, 0, 0, 0, 0, seen_within))
        .order_by(workers.c.started_at.desc(), workers.c.id)
    )
    return connection.execute(statement).mappings().all()
