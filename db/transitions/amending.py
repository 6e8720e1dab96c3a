"""Changes to a waiting job: amend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, and_, case, cast, func, literal, null, or_, update
from sqlalchemy.dialects.postgresql import JSONB

from callboard.db.models import TIME, jobs
from callboard.db.rules.states import Status

_TIMED: Final = (Status.SCHEDULED, Status.QUEUED, Status.BLOCKED)


@dataclass(frozen=True, slots=True)
class Amendment:
    """New values by column: ``priority``, ``scheduled_at``, ``expires_at``, ``tags``. Columns left out stay.

    ``scheduled_at`` None means now, ``expires_at`` None means never.
    """

    values: Mapping[str, Any] = field(default_factory=dict)


def amend(connection: Connection, job_id: UUID, amendment: Amendment, *, revision: int | None = None) -> bool:
    """Change a waiting job.

    From blocked, scheduled, queued or retrying. By a new ``scheduled_at`` a scheduled or queued job, or one that waits
    for a worker, becomes scheduled or queued, and the next attempt of a retrying job is moved. A job whose message is
    in the broker is dispatched again, in its new place.

    Args:
        connection: in a transaction.
        job_id: the job.
        amendment: what to change.
        revision: change the job only if it still has this revision.

    Returns:
        False when the job is not waiting, or has another revision.
    """
    values: dict[str, Any] = {"revision": jobs.c.revision + 1}
    given = amendment.values
    if "priority" in given:
        values |= {"priority": given["priority"], "dispatched_at": null()}
    if "expires_at" in given:
        values["expires_at"] = given["expires_at"]
    if "tags" in given:
        values["tags"] = cast(literal(given["tags"], JSONB), JSONB)
    if "scheduled_at" in given:
        values |= _moved_to(given["scheduled_at"])
    conditions = [jobs.c.id == job_id, jobs.c.status != Status.RUNNING]
    if revision is not None:
        conditions.append(jobs.c.revision == revision)
    statement = update(jobs).where(and_(*conditions)).values(values).returning(jobs.c.id)
    return connection.execute(statement).first() is not None


def _moved_to(scheduled_at: datetime | None) -> dict[str, Any]:
    at = cast(literal(scheduled_at, TIME), TIME)
    held = and_(jobs.c.status == Status.BLOCKED, jobs.c.due_at == literal("infinity", TIME))
    timed = and_(jobs.c.status.in_(_TIMED), ~held)
    later = func.coalesce(at > func.now(), False)
    return {
        "scheduled_at": at,
        "status": case((and_(timed, later), Status.SCHEDULED.value), (timed, Status.QUEUED.value), else_=jobs.c.status),
        "due_at": case(
            (held, jobs.c.due_at),
            (or_(later, jobs.c.status == Status.RETRYING), func.coalesce(at, func.now())),
            else_=null(),
        ),
        "queued_at": case(
            (and_(timed, later), null()),
            (and_(timed, jobs.c.status != Status.QUEUED), func.now()),
            else_=jobs.c.queued_at,
        ),
        "dispatched_at": null(),
    }
