"""Jobs whose type the worker at hand does not know: await_worker, recall."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Integer,
    ScalarSelect,
    Text,
    Uuid,
    any_,
    bindparam,
    case,
    cast,
    delete,
    func,
    literal,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from callboard.db.attempt.progress import now_text
from callboard.db.models import TIME, jobs, workers
from callboard.db.models.job_view import waits_for_worker
from callboard.db.rules.attempts import AttemptId
from callboard.db.rules.states import Reason, Status
from callboard.db.sql.pipeline import PreparedStatement, execute_together
from callboard.db.sql.rowset import among, each, rowset, rowset_of
from callboard.db.transitions.history import into_history

#: Seconds until a job is tried on another worker: they double from the first to the longest. While a worker lives that
#: knows the type, they stay short: it shares the queue with the others, and sooner or later gets the message.
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 300.0
_LONGEST_WHERE_KNOWN: Final = 5.0
_MOST_DOUBLINGS: Final = 10


def _text(value: str) -> ColumnElement[str]:
    return cast(literal(value), Text)


def _number(value: float) -> ColumnElement[float]:
    return cast(literal(value), Double)


def _object(**members: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.jsonb_build_object(*(part for name, value in members.items() for part in (_text(name), value)))


_messages = rowset(id=Uuid(), attempt=Integer())
_grace = cast(bindparam("grace", type_=Double), Double)
# A wait belongs to one attempt: once that has started, the next wait is a new one.
_goes_on = jobs.c.waiting_for["attempt"].as_integer() == jobs.c.attempt + 1
_since = case((_goes_on, jobs.c.waiting_for["since"].as_string()), else_=now_text)
# Locked in the order of their ids, as everywhere.
_meeting, _met_job = each(
    _messages,
    select(
        jobs.c.id,
        _since.label("since"),
        (_grace - func.extract("epoch", func.now() - cast(_since, TIME))).label("left"),
        (case((_goes_on, jobs.c.waiting_for["tries"].as_integer()), else_=0) + 1).label("tries"),
    )
    .where(
        jobs.c.id == _messages.c.id,
        jobs.c.attempt == _messages.c.attempt - 1,
        jobs.c.status == Status.QUEUED,
    )
    .with_for_update(),
)
_met = select(*_met_job.c).select_from(_meeting).cte("met")


def _of(column: ColumnElement[Any]) -> ScalarSelect[Any]:
    return select(column).where(_met.c.id == jobs.c.id).scalar_subquery()


_error = _object(
    reason=_text(Reason.UNKNOWN_TYPE),
    type=_text("UnknownJobType"),
    message=func.format(
        _text(
            "No worker that took this job knew its type '%s', for %s s. Does CALLBOARD_JOB_MODULES of the workers of "
            "queue '%s' name the module that defines it?"
        ),
        jobs.c.type,
        _grace,
        jobs.c.queue,
    ),
    attempt=jobs.c.attempt,
)
_over = select(_met.c.id).where(_met.c.left <= 0).cte("over")
_gone = (
    delete(jobs)
    .where(among(jobs.c.id, _over))
    .returning(*jobs.c, _error.label("new_error"), _of(_met.c.tries).label("tries"))
    .cte("gone")
)
_fail = PreparedStatement(
    select(_gone.c.id, _gone.c.type, _gone.c.queue, _gone.c.tries).add_cte(
        into_history(_gone, status=literal(Status.FAILED.value), error=_gone.c.new_error)
    )
)

_is_known = select(workers.c.id).where(workers.c.state == "running", jobs.c.type == any_(workers.c.types)).exists()
_longest = case((_is_known, _number(_LONGEST_WHERE_KNOWN)), else_=_number(_LONGEST_PAUSE))
_doubled = _number(_FIRST_PAUSE) * func.power(_number(2.0), cast(func.least(_met.c.tries - 1, _MOST_DOUBLINGS), Double))
# A random part up to a half is taken off: jobs that were refused together do not all come back at once.
_pause = func.least(_of(_met.c.left), func.least(_longest, _of(_doubled)) * (_number(1.0) - func.random() / _number(2)))
_still = select(_met.c.id).where(_met.c.left > 0).cte("still")
_wait = PreparedStatement(
    update(jobs)
    .where(among(jobs.c.id, _still))
    .values(
        status=Status.BLOCKED,
        due_at=func.now() + func.make_interval(0, 0, 0, 0, 0, 0, _pause),
        queued_at=null(),
        dispatched_at=null(),
        waiting_for=_object(
            kind=_text("worker"),
            type=jobs.c.type,
            since=_of(_met.c.since),
            tries=_of(_met.c.tries),
            attempt=jobs.c.attempt + 1,
        ),
        revision=jobs.c.revision + 1,
    )
    .returning(jobs.c.id, jobs.c.type, jobs.c.queue, jobs.c.waiting_for["tries"].as_integer().label("tries"))
)


@dataclass(frozen=True, slots=True)
class UnknownType:
    """A job that a worker met and whose type it did not know."""

    job_id: UUID
    type: str
    queue: str
    tries: int
    """Workers that it has met since it waits, this one included."""
    failed: bool
    """Whether its time is over; otherwise it waits for another worker."""


def await_worker(connection: Connection, attempts: Sequence[AttemptId], *, grace: float) -> list[UnknownType]:
    """Have jobs wait for a worker that knows their type, for ``grace`` seconds in all; then fail them.

    From queued, by a worker that got the message of an attempt and cannot start it; to blocked, due again after a pause
    that grows from try to try, or to failed. No attempt is started and no retry is spent. Returns what this call has
    changed; the others had moved on.

    Args:
        connection: autocommit, or in a transaction.
        attempts: that could not be started.
        grace: seconds, from the first worker that did not know the type.
    """
    rows = rowset_of({"id": job_id, "attempt": number} for job_id, number in sorted(set(attempts)))
    parameters = {**rows, "grace": grace}
    failed, waiting = execute_together(connection, (_fail, parameters), (_wait, parameters))
    return [UnknownType(row["id"], row["type"], row["queue"], row["tries"], failed=True) for row in failed] + [
        UnknownType(row["id"], row["type"], row["queue"], row["tries"], failed=False) for row in waiting
    ]


_found = (
    select(jobs.c.id)
    .where(
        jobs.c.waiting_for.is_not(None),
        jobs.c.type == any_(bindparam("types", type_=ARRAY(Text))),
        jobs.c.status == Status.BLOCKED,
        waits_for_worker,
    )
    .order_by(jobs.c.id)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(skip_locked=True)
    .cte("found")
)
_recall = (
    update(jobs)
    .where(among(jobs.c.id, _found))
    .values(
        status=Status.QUEUED,
        due_at=null(),
        queued_at=func.now(),
        # Another worker may get it first: the pauses begin anew.
        waiting_for=jobs.c.waiting_for.op("||")(_object(tries=cast(literal(0), Integer))),
        revision=jobs.c.revision + 1,
    )
    .returning(jobs.c.id)
)


def recall(connection: Connection, types: Collection[str], *, limit: int = 1000) -> int:
    """Queue the jobs that wait for a worker that knows one of these types; return how many.

    From blocked, by a worker that has just registered and knows them. Rows that another worker recalls are skipped.
    """
    return len(connection.execute(_recall, {"types": sorted(types), "limit": limit}).all())
