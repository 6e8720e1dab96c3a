"""New jobs: submit, with idempotency keys and unique keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    Text,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    null,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.types import TypeEngine

from callboard.db.errors import Unavailable
from callboard.db.models import TIME, job_history, jobs
from callboard.db.models.job_view import JobView, live_columns, view_of
from callboard.db.models.jobs import SQL_TYPES
from callboard.db.rules.ids import created_at_of
from callboard.db.rules.new_job import OPTIONS, Kind, NewJob
from callboard.db.rules.states import Status
from callboard.db.sql.notify import WAKE_DISPATCHER
from callboard.db.sql.pipeline import PreparedStatement, execute_together
from callboard.db.sql.rowset import rowset, rowset_of
from callboard.db.transitions.idempotency import point_keys, take_keys
from callboard.db.transitions.submission import (
    IdempotencyKey,
    SubmissionKind,
    SubmissionRequest,
    SubmissionResult,
)

_COLUMNS: dict[str, TypeEngine[Any]] = {
    "id": Uuid(),
    "created_at": TIME,
    "type": Text(),
    "owner": Text(),
    "payload": Text(),
    **{name: Text() if option.kind is Kind.TAGS else SQL_TYPES[option.kind] for name, option in OPTIONS.items()},
    "batch_id": Uuid(),
    "traceparent": Text(),
}
# Without those that _row makes.
_VALUES = tuple(_COLUMNS.keys() - {"created_at", "payload", "tags"})
_values_of = attrgetter(*_VALUES)
_new = rowset(**_COLUMNS)
_start_at = func.coalesce(_new.c.scheduled_at, func.now() + func.make_interval(0, 0, 0, 0, 0, 0, _new.c.delay))
_later = func.coalesce(_start_at > func.now(), False)
_values = {name: _new.c[name] for name in _COLUMNS if name not in {"payload", "tags", "delay", "scheduled_at"}} | {
    "payload": cast(_new.c.payload, JSONB),
    "tags": cast(_new.c.tags, JSONB),
    "scheduled_at": _start_at,
    "status": case((_later, Status.SCHEDULED.value), else_=Status.QUEUED.value),
    "due_at": case((_later, _start_at), else_=null()),
    "queued_at": case((_later, null()), else_=func.now()),
}
_insert = (
    insert(jobs)
    .from_select(list(_values), select(*(value.label(name) for name, value in _values.items())))
    # The unique key is taken by a live job; or this very batch was committed and only the answer was lost.
    .on_conflict_do_nothing()
)
_insert_one_each = PreparedStatement(_insert.returning(*live_columns()))
# Nobody shows the jobs of a batch, and reading thousands of rows back would double its cost.
_insert_many = PreparedStatement(_insert.returning(jobs.c.id))

_asked = rowset(id=Uuid(), created_at=TIME, owner=Text(), type=Text(), unique_key=Text())
_same_key = and_(jobs.c.owner == _asked.c.owner, jobs.c.type == _asked.c.type, jobs.c.unique_key == _asked.c.unique_key)
_present = (
    view_of(jobs)
    .add_columns(_asked.c.id.label("asked_id"))
    .select_from(_asked.join(jobs, or_(jobs.c.id == _asked.c.id, _same_key)))
    .union_all(
        view_of(job_history)
        .add_columns(_asked.c.id.label("asked_id"))
        .select_from(
            _asked.join(
                job_history, and_(job_history.c.id == _asked.c.id, job_history.c.created_at == _asked.c.created_at)
            )
        )
    )
)

_put = rowset(id=Uuid(), created_at=TIME)
_finished = select(_put.c.id).select_from(
    _put.join(job_history, and_(job_history.c.id == _put.c.id, job_history.c.created_at == _put.c.created_at))
)
_take_back = delete(jobs).where(jobs.c.id.in_(bindparam("ids", expanding=True)))

# A unique key may become free between finding it taken and looking for its job; then the job is inserted after all.
_ROUNDS = 5


def is_one_statement(request: SubmissionRequest) -> bool:
    """Whether :func:`submit` makes its jobs in one statement, which needs no transaction around it."""
    return request.key is None and all(job.unique_key is None for job in request.jobs)


def submit(
    connection: Connection, requests: Sequence[SubmissionRequest], *, repeated: bool = False, wake: bool = False
) -> list[SubmissionResult]:
    """Make the jobs of all requests; return one answer for each, in order.

    From nothing to scheduled (its time is ahead) or queued, by the api. Several requests with one key, or several
    jobs with one unique key, may be in one call; the first wins.

    Args:
        repeated: these very requests may have been committed before, and only the answer was lost. Their jobs are then
            found rather than made again, those that have finished meanwhile included.
        wake: wake the dispatcher once the jobs are durable, in the same round trip; on an autocommit connection.

    Raises:
        Unavailable: unique keys changed hands faster than this call could follow; try again.
    """
    answered = take_keys(connection, [request for request in requests if request.key is not None])
    fresh = [request for request in requests if id(request) not in answered]
    insert_ = _insert_one_each if all(len(request.jobs) == 1 for request in fresh) else _insert_many
    new = [job for request in fresh for job in request.jobs]
    rows = _insert_jobs(connection, insert_, new, repeated=repeated, wake=wake)
    submissions = []
    moved: dict[tuple[str, str], tuple[IdempotencyKey, list[UUID]]] = {}
    for request in requests:
        submission = answered.get(id(request))
        if submission is None:
            found = [rows[job.id] for job in request.jobs]
            ids = [row["id"] for row in found]
            submission = SubmissionResult(SubmissionKind.CREATED, ids, {row["id"]: row for row in found})
            if request.key is not None and ids != [job.id for job in request.jobs]:
                moved[request.key.owner, request.key.key] = (request.key, ids)
        elif request.key is not None and submission.kind is SubmissionKind.REPLAYED:
            # Its first use may be in this very call, and have met a unique key.
            first_use = moved.get((request.key.owner, request.key.key))
            submission = submission if first_use is None else replace(submission, job_ids=first_use[1])
        submissions.append(submission)
    if moved:
        point_keys(connection, list(moved.values()))
    return submissions


def _insert_jobs(
    connection: Connection, insert_: PreparedStatement, new: Sequence[NewJob], *, repeated: bool, wake: bool
) -> dict[UUID, JobView]:
    """Insert the jobs; return for each id that was asked for the row of its job, or of the unique key's holder."""
    rows: dict[UUID, JobView] = {}
    # In one order everywhere, so that two processes with the same unique keys cannot deadlock.
    missing = sorted(new, key=lambda job: (job.owner, job.type, job.unique_key or "", job.id))
    for _ in range(_ROUNDS):
        if not missing:
            return rows
        inserting = (insert_, rowset_of(map(_row, missing)))
        [inserted] = execute_together(connection, inserting, afterwards=[WAKE_DISPATCHER] if wake else [])
        made: dict[UUID, JobView] = {row["id"]: row for row in inserted}
        if repeated and made:
            # Only now: a job that finished before its row went in again is in history for this later snapshot.
            put = rowset_of({"id": job_id, "created_at": created_at_of(job_id)} for job_id in made)
            if finished := connection.execute(_finished, put).scalars().all():
                connection.execute(_take_back, {"ids": finished})
                made = {job_id: row for job_id, row in made.items() if job_id not in finished}
        rows |= made
        missing = [job for job in missing if job.id not in rows]
        if missing:
            asked = rowset_of(
                {
                    "id": job.id,
                    "created_at": created_at_of(job.id),
                    "owner": job.owner,
                    "type": job.type,
                    "unique_key": job.unique_key,
                }
                for job in missing
            )
            present = connection.execute(_present, asked).mappings().all()
            # A job that is there itself comes last and so wins over one that has its unique key by now.
            rows |= {row["asked_id"]: row for row in sorted(present, key=lambda row: row["id"] == row["asked_id"])}
            missing = [job for job in missing if job.id not in rows]
    raise Unavailable("A unique key changed hands again and again while its job was looked up. Try again.")


def _row(job: NewJob) -> dict[str, object]:
    row: dict[str, object] = dict(zip(_VALUES, _values_of(job), strict=True))
    row["created_at"] = created_at_of(job.id)
    row["payload"] = job.payload.decode()
    row["tags"] = job.tags.decode()
    return row
