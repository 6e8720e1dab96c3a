"""What a reader sees of a job, live or finished, in one shape: the columns of every job query."""

from __future__ import annotations

from typing import Any, Final, Protocol

from sqlalchemy import Column, ColumnElement, Label, Select, Table, Text, and_, case, cast, func, literal, null, select

from callboard.db.models import TIME, job_history, jobs
from callboard.db.rules.new_job import OPTIONS
from callboard.db.rules.states import Status


class JobView(Protocol):
    """A row of these columns, by name."""

    def __getitem__(self, column: str, /) -> Any: ...


_SHARED: Final = (
    "id",
    "type",
    "status",
    "owner",
    "attempt",
    "revision",
    "created_at",
    "started_at",
    "cancel_requested_at",
    "batch_id",
    "worker",
    *(name for name, option in OPTIONS.items() if option.shown),
)

#: Since when a queued job has been due. An older release has left no ``queued_at``.
due_since: Final = func.coalesce(jobs.c.queued_at, func.greatest(jobs.c.created_at, jobs.c.scheduled_at))

#: Of a live job: what it waited for last, it waits for still.
waits_for_worker: Final = and_(
    jobs.c.waiting_for.is_not(None),
    jobs.c.status != Status.RUNNING,
    jobs.c.waiting_for["attempt"].as_integer() == jobs.c.attempt + 1,
)

#: JSON that is passed on as it is: nobody here looks into it, so nobody decodes and encodes it.
_OPAQUE: Final = ("progress", "error")


def live_columns() -> list[Label[Any] | Column[Any]]:
    """Return the columns of a job view, from ``jobs``."""
    return [
        *(jobs.c[name] for name in _SHARED),
        *(cast(jobs.c[name], Text).label(name) for name in _OPAQUE),
        # A blocked job's is 'infinity', which Python's datetime cannot hold.
        func.nullif(jobs.c.due_at, literal("infinity", TIME)).label("due_at"),
        cast(null(), TIME).label("finished_at"),
        cast(null(), Text).label("result"),
        case((waits_for_worker, cast(jobs.c.waiting_for.op("-")(cast(literal("attempt"), Text)), Text))).label(
            "waiting_for"
        ),
    ]


def finished_columns(*, result: bool = True) -> list[Label[Any] | Column[Any]]:
    """Return the columns of a job view, from ``job_history``; without ``result`` for lists."""
    return [
        *(job_history.c[name] for name in _SHARED),
        *(cast(job_history.c[name], Text).label(name) for name in _OPAQUE),
        cast(null(), TIME).label("due_at"),
        job_history.c.finished_at.label("finished_at"),
        cast(job_history.c.result if result else null(), Text).label("result"),
        cast(null(), Text).label("waiting_for"),
    ]


def view_of(table: Table, *conditions: ColumnElement[bool], result: bool = True) -> Select[Any]:
    """Return the SELECT of job views from one of the two tables."""
    columns = live_columns() if table is jobs else finished_columns(result=result)
    return select(*columns).where(*conditions)
