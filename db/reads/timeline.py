"""The events of a job, derived from its row, its attempts and its progress reports: nothing is written for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import (
    BigInteger,
    Connection,
    Double,
    FromClause,
    Integer,
    RowMapping,
    Select,
    Text,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.types import TypeEngine

from callboard.db.models import TIME, job_attempts, job_history, job_progress, jobs
from callboard.db.rules.event_position import EventPosition, Stage
from callboard.db.rules.ids import created_at_of
from callboard.db.rules.states import AttemptOutcome, EventKind, Status
from callboard.db.sql.rowset import rowset, rowset_of


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a job. Fields that do not belong to its kind are None."""

    position: EventPosition
    """Just after this event."""
    kind: EventKind
    at: datetime
    attempt: int
    """0 before the first."""
    worker: str | None = None
    status: Status | None = None
    """How the job ended."""
    error: str | None = None
    """JSON, as the job shows its error."""
    next_attempt_at: datetime | None = None
    """Known while the job waits for it."""
    current: float | None = None
    total: float | None = None
    step: str | None = None
    message: str | None = None
    waiting_for: str | None = None
    """JSON, as the job shows it; the number of tries is that of now."""


@dataclass(frozen=True, slots=True)
class Watch:
    """A job, and what its reader has seen: the events up to ``after``, and all of ``revision``."""

    job_id: UUID
    after: EventPosition = field(default_factory=EventPosition)
    revision: int = -1


@dataclass(frozen=True, slots=True)
class JobEvents:
    """The events of a watched job that its reader has not seen, oldest first."""

    revision: int | None
    """None: there is no such job, or it was erased."""
    events: Sequence[Event]
    more: bool
    """There are more than ``limit``."""
    done: bool
    """The job has ended and these are the last."""


_watched = rowset(
    id=Uuid(), created_at=TIME, known=Integer(), seen_attempt=Integer(), seen_report=BigInteger()
)  # fmt: skip
_seen = (_watched.c.id, _watched.c.known, _watched.c.seen_attempt, _watched.c.seen_report)
_shared: Final = (
    "created_at", "revision", "status", "attempt", "attempt_started_at", "worker", "cancel_requested_at", "waiting_for",
)  # fmt: skip
_job = union_all(
    select(
        *_seen,
        *(jobs.c[name] for name in _shared),
        # Only of retrying jobs: a blocked job's may be 'infinity', which Python cannot hold.
        case((jobs.c.status == Status.RETRYING, jobs.c.due_at)).label("next_attempt_at"),
        cast(null(), TIME).label("finished_at"),
        cast(null(), Text).label("error"),
    ).select_from(_watched.join(jobs, jobs.c.id == _watched.c.id)),
    select(
        *_seen,
        *(job_history.c[name] for name in _shared),
        cast(null(), TIME),
        job_history.c.finished_at,
        cast(job_history.c.error, Text),
    ).select_from(
        _watched.join(
            job_history,
            and_(
                job_history.c.id == _watched.c.id,
                job_history.c.created_at == _watched.c.created_at,
                job_history.c.deleted.is_(False),
            ),
        )
    ),
).cte("job")
# Most watched jobs have not changed; nothing else of them is read.
_changed = select(_job).where(_job.c.revision != _job.c.known).cte("changed")

_DETAILS: Final[dict[str, TypeEngine[Any]]] = {
    "worker": Text(), "status": Text(), "error": Text(), "next_attempt_at": TIME, "reason": Text(),
    "error_type": Text(), "error_message": Text(), "current": Double(), "total": Double(), "step": Text(),
    "message": Text(), "waiting_for": Text(),
}  # fmt: skip


def _events(source: FromClause, kind: Any, stage: Stage, at: Any, *, count: Any = 0, **details: Any) -> Select[Any]:
    """Return the SELECT of the events of one kind; ``details`` are ``attempt`` and some of ``_DETAILS``."""
    columns = {"id": _changed.c.id, "kind": cast(kind, Text), "stage": literal(int(stage)), "at": at}
    columns |= {"attempt": details["attempt"], "count": cast(count, BigInteger)}
    columns |= {name: details.get(name, cast(null(), type_)) for name, type_ in _DETAILS.items()}
    return select(*(value.label(name) for name, value in columns.items())).select_from(source)


_ended = _changed.join(
    job_attempts,
    and_(
        job_attempts.c.job_id == _changed.c.id,
        job_attempts.c.created_at == _changed.c.created_at,
        job_attempts.c.attempt >= _changed.c.seen_attempt,
    ),
)
_reports = (
    select(job_progress)
    .where(
        job_progress.c.job_id == _changed.c.id,
        job_progress.c.created_at == _changed.c.created_at,
        tuple_(job_progress.c.attempt, job_progress.c.seq) > tuple_(_changed.c.seen_attempt, _changed.c.seen_report),
    )
    .order_by(job_progress.c.attempt, job_progress.c.seq)
    .limit(bindparam("limit", type_=Integer))
    .lateral("report")
)
_waits_since = cast(_changed.c.waiting_for["since"].as_string(), TIME)
_happened = union_all(
    _events(
        _changed, EventKind.WAITING, Stage.WAITING, _waits_since,
        attempt=_changed.c.waiting_for["attempt"].as_integer(),
        count=func.floor(func.extract("epoch", _waits_since) * literal(1000)),
        waiting_for=cast(_changed.c.waiting_for.op("-")(cast(literal("attempt"), Text)), Text),
    ).where(_changed.c.waiting_for.is_not(None)),
    _events(_changed, EventKind.SUBMITTED, Stage.SUBMITTED, _changed.c.created_at, attempt=literal(0)),
    _events(
        _ended, EventKind.STARTED, Stage.STARTED, job_attempts.c.started_at,
        attempt=job_attempts.c.attempt, worker=job_attempts.c.worker,
    ),
    _events(
        _changed, EventKind.STARTED, Stage.STARTED, _changed.c.attempt_started_at,
        attempt=_changed.c.attempt, worker=_changed.c.worker,
    ).where(_changed.c.status == Status.RUNNING),
    _events(
        _changed.join(_reports, true()), EventKind.PROGRESS, Stage.PROGRESS, _reports.c.reported_at,
        count=_reports.c.seq,
        **{name: _reports.c[name] for name in ("attempt", "current", "total", "step", "message")},
    ),
    _events(
        _ended,
        case(
            (job_attempts.c.outcome == AttemptOutcome.RELEASED, EventKind.RELEASED.value),
            else_=EventKind.RETRY.value,
        ),
        Stage.ENDED,
        job_attempts.c.finished_at,
        next_attempt_at=case((job_attempts.c.attempt == _changed.c.attempt, _changed.c.next_attempt_at)),
        **{name: job_attempts.c[name] for name in ("attempt", "worker", "reason", "error_type", "error_message")},
        # The attempt that ended the job was written with it, in one transaction.
    ).where(or_(_changed.c.finished_at.is_(None), job_attempts.c.finished_at != _changed.c.finished_at)),
    _events(
        _changed, EventKind.FINISHED, Stage.FINISHED, _changed.c.finished_at,
        attempt=_changed.c.attempt, status=_changed.c.status, error=_changed.c.error,
        count=func.floor(func.extract("epoch", _changed.c.finished_at) * literal(1000)),
    ).where(_changed.c.finished_at.is_not(None)),
).subquery("happened")  # fmt: skip
_read = (
    select(
        _watched.c.id,
        _job.c.revision,
        _job.c.attempt.label("job_attempt"),
        _job.c.cancel_requested_at,
        _job.c.finished_at,
        *(column for column in _happened.c if column.name != "id"),
    )
    .select_from(
        _watched.join(_job, _job.c.id == _watched.c.id, isouter=True).join(
            _happened, _happened.c.id == _watched.c.id, isouter=True
        )
    )
    .where(_job.c.revision.is_distinct_from(_watched.c.known))
    .order_by(_watched.c.id, _happened.c.attempt, _happened.c.stage, _happened.c["count"])
)


def read_events(connection: Connection, watches: Sequence[Watch], *, limit: int) -> dict[UUID, JobEvents]:
    """Return the events that the watches have not seen, at most ``limit`` for each job that has changed.

    One statement, whatever the number of watches. Jobs that have not changed are left out. Of a job that was reopened
    the attempts are known, but not the events between them (the end, a cancel).
    """
    parameters = rowset_of(map(_row, watches)) | {"limit": limit + 1}
    rows = connection.execute(_read, parameters).mappings()
    after = {watch.job_id: watch.after for watch in watches}
    return {
        job_id: _unseen_of(list(group), after[job_id], limit) for job_id, group in groupby(rows, lambda row: row["id"])
    }


_NO_REPORT: Final = -1
_EVERY_REPORT: Final = 2**31


def _row(watch: Watch) -> dict[str, object]:
    after = watch.after
    if after.stage == Stage.PROGRESS:
        report = after.count
    else:
        report = _NO_REPORT if after.stage < Stage.PROGRESS else _EVERY_REPORT
    return {
        "id": watch.job_id,
        "created_at": created_at_of(watch.job_id),
        "known": watch.revision,
        "seen_attempt": after.attempt,
        "seen_report": report,
    }


def _unseen_of(rows: Sequence[RowMapping], after: EventPosition, limit: int) -> JobEvents:
    job = rows[0]
    happened = [row for row in rows if row["kind"] is not None and _place(row) > after.place]
    more = len(happened) > limit
    events = list(_placed(happened[:limit], job, after, more=more))
    more = more or len(events) > limit
    done = job["finished_at"] is not None and not more
    return JobEvents(revision=job["revision"], events=events[:limit], more=more, done=done)


def _placed(happened: Sequence[RowMapping], job: RowMapping, after: EventPosition, *, more: bool) -> Iterable[Event]:
    """Yield the events with their positions, with the requested cancel among them, at its time."""
    position = after
    requested_at: datetime | None = job["cancel_requested_at"]
    pending = requested_at is not None and _milliseconds(requested_at) > after.cancel

    def cancel() -> Event:
        assert requested_at is not None  # noqa: S101 - for the type checker
        here = EventPosition(*position.place, _milliseconds(requested_at))
        return Event(here, EventKind.CANCEL_REQUESTED, requested_at, job["job_attempt"])

    for row in happened:
        if pending and _is_later(row, requested_at, job["job_attempt"]):
            event = cancel()
            position, pending = event.position, False
            yield event
        position = EventPosition(*_place(row), position.cancel)
        yield _event(row, position)
    if pending and not more:
        yield cancel()


def _place(row: RowMapping) -> tuple[int, int, int]:
    return row["attempt"], row["stage"], row["count"]


def _is_later(row: RowMapping, requested_at: datetime | None, attempt: int) -> bool:
    if row["attempt"] != attempt or row["stage"] < Stage.PROGRESS:
        return False
    return bool(row["stage"] == Stage.FINISHED or row["at"] > requested_at)


def _event(row: RowMapping, position: EventPosition) -> Event:
    error = row["error"]
    if row["reason"] is not None:
        error = orjson.dumps(
            {
                "reason": row["reason"],
                "type": row["error_type"],
                "message": row["error_message"],
                "attempt": row["attempt"],
            }
        ).decode()
    return Event(
        position=position,
        kind=EventKind(row["kind"]),
        at=row["at"],
        attempt=row["attempt"],
        worker=row["worker"],
        status=None if row["status"] is None else Status(row["status"]),
        error=error,
        next_attempt_at=row["next_attempt_at"],
        current=row["current"],
        total=row["total"],
        step=row["step"],
        message=row["message"],
        waiting_for=row["waiting_for"],
    )


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _milliseconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(milliseconds=1)
