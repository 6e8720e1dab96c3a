"""New jobs: submit, with idempotency keys and unique keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Connection,
    Double,
    Integer,
    LargeBinary,
    RowMapping,
    SmallInteger,
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
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.types import TypeEngine

from db.batch import batch, batch_of
from db.errors import Unavailable
from db.ids import created_at_of
from db.models import TIME, idempotency_keys, job_history, jobs
from db.states import Status
from db.transitions.submission import IdempotencyKey, NewJob, Request, Submission, SubmissionKind
from db.views import live_columns, view_of

_COLUMNS: dict[str, TypeEngine[Any]] = {
    "id": Uuid(),
    "created_at": TIME,
    "type": Text(),
    "queue": Text(),
    "owner": Text(),
    "payload": Text(),
    "priority": SmallInteger(),
    "max_retries": Integer(),
    "time_limit": Double(),
    "tags": Text(),
    "delay": Double(),
    "scheduled_at": TIME,
    "expires_at": TIME,
    "unique_key": Text(),
    "parent_id": Uuid(),
    "batch_id": Uuid(),
    "traceparent": Text(),
}
_new = batch(**_COLUMNS)
_start_at = func.coalesce(_new.c.scheduled_at, func.now() + func.make_interval(0, 0, 0, 0, 0, 0, _new.c.delay))
_later = func.coalesce(_start_at > func.now(), False)
_values = {name: _new.c[name] for name in _COLUMNS if name not in {"payload", "tags", "delay", "scheduled_at"}} | {
    "payload": cast(_new.c.payload, JSONB),
    "tags": cast(_new.c.tags, JSONB),
    "scheduled_at": _start_at,
    "status": case((_later, Status.SCHEDULED.value), else_=Status.QUEUED.value),
    "due_at": case((_later, _start_at), else_=null()),
}
_insert = (
    insert(jobs)
    .from_select(list(_values), select(*(value.label(name) for name, value in _values.items())))
    # The unique key is taken by a live job; or this very batch was committed and only the answer was lost.
    .on_conflict_do_nothing()
    .returning(*live_columns())
)

_asked = batch(id=Uuid(), created_at=TIME, owner=Text(), type=Text(), unique_key=Text())
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

_put = batch(id=Uuid(), created_at=TIME)
_finished = select(_put.c.id).select_from(
    _put.join(job_history, and_(job_history.c.id == _put.c.id, job_history.c.created_at == _put.c.created_at))
)
_take_back = delete(jobs).where(jobs.c.id.in_(bindparam("ids", expanding=True)))

_keys = batch(owner=Text(), key=Text(), job_ids=Text(), request_hash=LargeBinary(), ttl=Double())
_take_keys = (
    insert(idempotency_keys)
    .from_select(
        ["owner", "key", "job_ids", "request_hash", "expires_at"],
        select(
            _keys.c.owner,
            _keys.c.key,
            cast(_keys.c.job_ids, ARRAY(Uuid)),
            _keys.c.request_hash,
            func.now() + func.make_interval(0, 0, 0, 0, 0, 0, _keys.c.ttl),
        ),
    )
    .on_conflict_do_nothing()
)
_names = batch(owner=Text(), key=Text())
_find_keys = select(
    idempotency_keys.c.owner,
    idempotency_keys.c.key,
    idempotency_keys.c.job_ids,
    idempotency_keys.c.request_hash,
).select_from(
    _names.join(
        idempotency_keys,
        and_(idempotency_keys.c.owner == _names.c.owner, idempotency_keys.c.key == _names.c.key),
    )
)
_point_key = (
    update(idempotency_keys)
    .where(idempotency_keys.c.owner == _keys.c.owner, idempotency_keys.c.key == _keys.c.key)
    .values(job_ids=cast(_keys.c.job_ids, ARRAY(Uuid)))
)

# A unique key may become free between finding it taken and looking for its job; then the job is inserted after all.
_ROUNDS = 5


def submit(connection: Connection, requests: Sequence[Request], *, repeated: bool = False) -> list[Submission]:
    """Make the jobs of all requests; return one answer for each, in order.

    From nothing to scheduled (its time is ahead) or queued, by the api. Several requests with one key, or several
    jobs with one unique key, may be in one call; the first wins.

    Args:
        repeated: these very requests may have been committed before, and only the answer was lost. Their jobs are then
            found rather than made again, those that have finished meanwhile included.

    Raises:
        Unavailable: unique keys changed hands faster than this call could follow; try again.
    """
    replays = _take(connection, [request for request in requests if request.key is not None])
    fresh = [request for request in requests if id(request) not in replays]
    rows = _insert_jobs(connection, [job for request in fresh for job in request.jobs], repeated=repeated)
    submissions = []
    moved: dict[tuple[str, str], tuple[IdempotencyKey, list[UUID]]] = {}
    for request in requests:
        submission = replays.get(id(request))
        if submission is None:
            found = [rows[job.id] for job in request.jobs]
            ids = [row["id"] for row in found]
            submission = Submission(SubmissionKind.CREATED, ids, {row["id"]: row for row in found})
            if request.key is not None and ids != [job.id for job in request.jobs]:
                moved[request.key.owner, request.key.key] = (request.key, ids)
        elif request.key is not None and submission.kind is SubmissionKind.REPLAYED:
            # Its first use may be in this very call, and have met a unique key.
            first_use = moved.get((request.key.owner, request.key.key))
            submission = submission if first_use is None else replace(submission, job_ids=first_use[1])
        submissions.append(submission)
    if moved:
        connection.execute(_point_key, _key_parameters(list(moved.values())))
    return submissions


def find_submission(connection: Connection, key: IdempotencyKey) -> Submission | None:
    """Return what :func:`submit` answers to a request with a key that has been used; None if it has not."""
    names = batch_of(("owner", "key"), [(key.owner, key.key)])
    holder = connection.execute(_find_keys, names).one_or_none()
    return None if holder is None else _later_use(key, holder)


def _later_use(key: IdempotencyKey, holder: Any) -> Submission:
    same = bytes(holder.request_hash) == key.request_hash
    kind = SubmissionKind.REPLAYED if same else SubmissionKind.KEY_REUSED
    return Submission(kind, holder.job_ids if same else [], {})


def _take(connection: Connection, keyed: Sequence[Request]) -> dict[int, Submission]:
    """Take the idempotency keys; return the answers to requests (by ``id()``) that came too late for theirs."""
    wanted = {id(request): request.key for request in keyed if request.key is not None}
    if not wanted:
        return {}
    taking = [(request.key, [job.id for job in request.jobs]) for request in keyed if request.key is not None]
    connection.execute(_take_keys, _key_parameters(taking))
    names = sorted({(key.owner, key.key) for key in wanted.values()})
    holders = {(row.owner, row.key): row for row in connection.execute(_find_keys, batch_of(("owner", "key"), names))}
    replays = {}
    for request in keyed:
        key = wanted[id(request)]
        holder = holders.get((key.owner, key.key))
        if holder is None:
            raise Unavailable("An idempotency key expired while it was looked up. Try again.")
        if holder.job_ids != [job.id for job in request.jobs]:
            replays[id(request)] = _later_use(key, holder)
    return replays


def _insert_jobs(connection: Connection, new: Sequence[NewJob], *, repeated: bool) -> dict[UUID, RowMapping]:
    """Insert the jobs; return for each id that was asked for the view of its job, or of the unique key's holder."""
    rows: dict[UUID, RowMapping] = {}
    # In one order everywhere, so that two processes with the same unique keys cannot deadlock.
    missing = sorted(new, key=lambda job: (job.owner, job.type, job.unique_key or "", job.id))
    for _ in range(_ROUNDS):
        if not missing:
            return rows
        inserted = connection.execute(_insert, batch_of(_COLUMNS, (_row(job) for job in missing)))
        made = {row["id"]: row for row in inserted.mappings()}
        if repeated and made:
            # Only now: a job that finished before its row went in again is in history for this later snapshot.
            put = batch_of(("id", "created_at"), [(job_id, created_at_of(job_id)) for job_id in made])
            if finished := connection.execute(_finished, put).scalars().all():
                connection.execute(_take_back, {"ids": finished})
                made = {job_id: row for job_id, row in made.items() if job_id not in finished}
        rows |= made
        missing = [job for job in missing if job.id not in rows]
        if missing:
            asked = [(job.id, created_at_of(job.id), job.owner, job.type, job.unique_key) for job in missing]
            names = ("id", "created_at", "owner", "type", "unique_key")
            present = connection.execute(_present, batch_of(names, asked)).mappings().all()
            # A job that is there itself comes last and so wins over one that has its unique key by now.
            rows |= {row["asked_id"]: row for row in sorted(present, key=lambda row: row["id"] == row["asked_id"])}
            missing = [job for job in missing if job.id not in rows]
    raise Unavailable("A unique key changed hands again and again while its job was looked up. Try again.")


def _row(job: NewJob) -> tuple[object, ...]:
    return (
        job.id,
        created_at_of(job.id),
        job.type,
        job.queue,
        job.owner,
        job.payload.decode(),
        job.priority,
        job.max_retries,
        job.time_limit,
        job.tags.decode(),
        job.delay,
        job.scheduled_at,
        job.expires_at,
        job.unique_key,
        job.parent_id,
        job.batch_id,
        job.traceparent,
    )


def _key_parameters(keys: Sequence[tuple[IdempotencyKey, Sequence[UUID]]]) -> dict[str, str]:
    rows = [
        (key.owner, key.key, "{" + ",".join(map(str, job_ids)) + "}", key.request_hash, key.ttl)
        for key, job_ids in sorted(keys, key=lambda item: (item[0].owner, item[0].key))
    ]
    return batch_of(("owner", "key", "job_ids", "request_hash", "ttl"), rows)
