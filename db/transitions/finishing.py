"""The end of an attempt: finish, retry_later, release. Fenced by the attempt's number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Double,
    FromClause,
    Integer,
    ScalarSelect,
    Text,
    Uuid,
    case,
    cast,
    delete,
    func,
    insert,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from callboard.db.models import job_attempts, jobs
from callboard.db.rules.attempts import AttemptId
from callboard.db.rules.outcome import JobError, Outcome
from callboard.db.rules.states import Status
from callboard.db.sql.pipeline import PreparedStatement, RowDict, StatementCall, execute_together
from callboard.db.sql.rowset import among, each, rowset, rowset_of
from callboard.db.transitions.history import into_history


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended."""

    attempt_id: AttemptId
    outcome: Outcome


_COLUMNS: dict[str, TypeEngine[Any]] = {
    "id": Uuid(),
    "attempt": Integer(),
    "status": Text(),
    "outcome": Text(),
    "result": Text(),
    "error": Text(),
    "reason": Text(),
    "error_type": Text(),
    "error_message": Text(),
    "traceback": Text(),
    "delay": Double(),
}
_endings = rowset(**_COLUMNS)
# Locked in the order of their ids, as everywhere.
_still_running = (
    select(*jobs.c)
    .where(jobs.c.id == _endings.c.id, jobs.c.attempt == _endings.c.attempt, jobs.c.status == Status.RUNNING)
    .with_for_update()
)


def _attempt_ended(ended: FromClause) -> CTE:
    """Return the INSERT into ``job_attempts`` for the rows of ``ended``."""
    values = {
        "job_id": ended.c.id,
        "created_at": ended.c.created_at,
        "attempt": ended.c.attempt,
        "outcome": ended.c.outcome,
        "reason": ended.c.reason,
        "worker_id": ended.c.worker_id,
        "worker": ended.c.worker,
        "started_at": ended.c.attempt_started_at,
        "finished_at": func.now(),
        "error_type": ended.c.error_type,
        "error_message": ended.c.error_message,
        "traceback": ended.c.traceback,
    }
    source = select(*(value.label(name) for name, value in values.items()))
    return insert(job_attempts).from_select(list(values), source).cte("attempt_ended")


_ABOUT_ATTEMPT = (
    _endings.c.outcome,
    _endings.c.reason,
    _endings.c.error_type,
    _endings.c.error_message,
    _endings.c.traceback,
)

_finishing, _finishing_job = each(_endings, _still_running)
# A success is all of the work, however much of it was reported.
_ALL = func.jsonb_build_object(literal_column("'percent'"), literal_column("100.0"))
_last_progress = case(
    (
        _endings.c.status == Status.SUCCEEDED.value,
        _finishing_job.c.progress.op("||")(_ALL),
    ),
    else_=_finishing_job.c.progress,
)
_finished = (
    select(
        *(column for column in _finishing_job.c if column.name != "progress"),
        _last_progress.label("progress"),
        _endings.c.status.label("new_status"),
        _endings.c.result.label("new_result"),
        _endings.c.error.label("new_error"),
        *_ABOUT_ATTEMPT,
    )
    .select_from(_finishing)
    .cte("finished")
)
_finish = PreparedStatement(
    select(_finished.c.id, _finished.c.attempt)
    .add_cte(delete(jobs).where(among(jobs.c.id, _finished)).cte("deleted"))
    .add_cte(
        into_history(
            _finished,
            status=_finished.c.new_status,
            result=cast(_finished.c.new_result, JSONB),
            error=cast(_finished.c.new_error, JSONB),
        )
    )
    .add_cte(_attempt_ended(_finished))
)


def finish(connection: Connection, endings: Sequence[Ending]) -> set[AttemptId]:
    """End attempts and with them their jobs: the row moves to ``job_history``, the attempt to ``job_attempts``.

    From running, by the worker that ran the attempt or by rescue; to succeeded, failed or cancelled. Returns the
    attempts that this call has ended; the others had been fenced out, and nothing has changed for them.
    """
    [rows] = execute_together(connection, finishing(endings))
    return finished(rows)


def finishing(endings: Sequence[Ending]) -> StatementCall:
    """Return :func:`finish` as a call to send together with others; :func:`finished` reads its rows."""
    return _finish, _parameters(endings)


def finished(rows: Sequence[RowDict]) -> set[AttemptId]:
    """Return the attempts that :func:`finishing` has ended."""
    return {AttemptId(row["id"], row["attempt"]) for row in rows}


# UPDATE … RETURNING gives new values, but the attempt's row needs the old ones: who ran it, since when.
# A job whose cancel was requested does not wait for another attempt.
_ending, _ending_job = each(_endings, _still_running.where(jobs.c.cancel_requested_at.is_(None)))
_waiting = (
    select(
        *(_ending_job.c[name] for name in ("id", "created_at", "attempt", "worker_id", "worker", "attempt_started_at")),
        *_ABOUT_ATTEMPT,
        _endings.c.status,
        _endings.c.error,
        _endings.c.delay,
    )
    .select_from(_ending)
    .cte("ended")
)


def _of_ending(column: ColumnElement[Any]) -> ScalarSelect[Any]:
    return select(column).where(_waiting.c.id == jobs.c.id).scalar_subquery()


def _wait_again(values: dict[str, object]) -> CTE:
    return (
        update(jobs)
        .where(among(jobs.c.id, _waiting))
        .values(
            status=_of_ending(_waiting.c.status),
            worker_id=None,
            attempt_started_at=None,
            dispatched_at=None,
            revision=jobs.c.revision + 1,
            **values,
        )
        .cte("waiting")
    )


_retry_later = (
    select(_waiting.c.id, _waiting.c.attempt)
    .add_cte(
        _wait_again(
            {
                "due_at": func.now() + func.make_interval(0, 0, 0, 0, 0, 0, _of_ending(_waiting.c.delay)),
                "retries": jobs.c.retries + 1,
                "error": _of_ending(cast(_waiting.c.error, JSONB)),
            }
        )
    )
    .add_cte(_attempt_ended(_waiting))
)
_release = (
    select(_waiting.c.id, _waiting.c.attempt)
    .add_cte(_wait_again({"due_at": null(), "queued_at": func.now()}))
    .add_cte(_attempt_ended(_waiting))
)


def retry_later(connection: Connection, endings: Sequence[Ending]) -> set[AttemptId]:
    """End failed attempts; the jobs wait for their backoff and then run again. One retry is spent.

    From running, by the worker or by rescue; to retrying. Returns the attempts that it has ended, as :func:`finish`. A
    job with ``cancel_requested_at`` is left alone; :func:`record` cancels it.
    """
    return {AttemptId(row.id, row.attempt) for row in connection.execute(_retry_later, _parameters(endings))}


def release(connection: Connection, endings: Sequence[Ending]) -> set[AttemptId]:
    """End attempts that were interrupted through no fault of their jobs: these are due at once, no retry is spent.

    From running, by a worker that shuts down; to queued. Returns the attempts that it has ended, and leaves jobs with
    ``cancel_requested_at`` alone, as :func:`retry_later`.
    """
    return {AttemptId(row.id, row.attempt) for row in connection.execute(_release, _parameters(endings))}


def _parameters(endings: Sequence[Ending]) -> dict[str, str]:
    unique = {ending.attempt_id: ending.outcome for ending in endings}
    return rowset_of(_row(attempt_id, unique[attempt_id]) for attempt_id in sorted(unique))


def _row(attempt_id: AttemptId, outcome: Outcome) -> dict[str, object]:
    row: dict[str, object] = {
        "id": attempt_id.job_id,
        "attempt": attempt_id.number,
        "status": outcome.status,
        "outcome": outcome.attempt,
        "result": outcome.result.decode() if outcome.result is not None else None,
        "delay": outcome.delay,
    }
    if (error := outcome.error) is not None:
        row |= {
            "error": error_json(error),
            "reason": error.reason,
            "error_type": error.type,
            "error_message": error.message,
            "traceback": error.traceback,
        }
    return row


def error_json(error: JobError) -> str:
    """Return the ``error`` that clients see, as JSON, without the traceback."""
    shown = {"reason": error.reason, "type": error.type, "message": error.message, "attempt": error.attempt}
    return orjson.dumps(shown).decode()
