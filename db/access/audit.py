"""The audit log: who did what, to which job or queue, when, from where."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Select, delete, func, insert, literal, select

from callboard.db.models import audit_log
from callboard.db.rules.ids import first_id, new_id
from callboard.db.rules.text import shortened, storable


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: the owner it acts as, the address it came from, the request's id, the API key."""

    name: str
    remote: str | None = None
    request_id: str | None = None
    key_id: str | None = None
    """None for those without a key: tokens, commands, the service itself."""


_RETENTION: Final = Actor("system:retention")
_DELETED_PER_CALL: Final = 5000


def write_audit(
    connection: Connection, actor: Actor, action: str, *, job_id: UUID | None = None, subject: str | None = None
) -> None:
    """Add an entry, in the transaction of the action itself: both are committed, or neither.

    Args:
        connection: in a transaction.
        actor: who acts.
        action: what it does, such as ``job.cancel`` or ``queue.pause``.
        job_id: the job it is done to.
        subject: what else it is done to, such as a queue or key.
    """
    connection.execute(insert(audit_log).values(_entry(actor, action, job_id, subject)))


def write_audits(
    connection: Connection, actor: Actor, action: str, job_ids: Collection[UUID], *, subject: str | None = None
) -> None:
    """:func:`write_audit` for each of these jobs."""
    if job_ids:
        connection.execute(insert(audit_log), [_entry(actor, action, job_id, subject) for job_id in job_ids])


def delete_old_entries(connection: Connection, *, keep_days: int) -> int:
    """Delete up to 5000 of the entries that are older than ``keep_days``, and record that; return how many.

    The table's trigger lets entries go that are older than 30 days, in a transaction that says that it is retention.

    Args:
        connection: in a transaction.
        keep_days: 30 or more.
    """
    before = datetime.now(UTC) - timedelta(days=keep_days)
    old = select(audit_log.c.id).where(audit_log.c.id < first_id(before)).order_by(audit_log.c.id)
    connection.execute(_is_retention("on"))
    deleted = connection.execute(delete(audit_log).where(audit_log.c.id.in_(old.limit(_DELETED_PER_CALL)))).rowcount
    connection.execute(_is_retention("off"))
    if deleted:
        write_audit(connection, _RETENTION, "audit.delete", subject=f"{deleted:,} entries before {before:%Y-%m-%d}")
    return deleted


def _is_retention(value: str) -> Select[tuple[str]]:
    """Return the statement that tells the trigger, until the end of the transaction."""
    return select(func.set_config("callboard.audit_retention", value, literal(value=True)))


def _entry(actor: Actor, action: str, job_id: UUID | None, subject: str | None) -> dict[str, object]:
    return {
        "id": new_id(),
        "actor": actor.name,
        "action": action,
        "job_id": job_id,
        "subject": None if subject is None else storable(shortened(subject, 500)),
        "remote": actor.remote,
        "key_id": actor.key_id,
        "request_id": None if actor.request_id is None else storable(shortened(actor.request_id, 200)),
    }
