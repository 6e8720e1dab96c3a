"""Deletes expired idempotency keys and old worker boots. History is deleted by retention rules only."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, select

from callboard.db.fleet.workers import ALIVE
from callboard.db.models import idempotency_keys, jobs, workers

_KEYS_PER_CALL = 5000
_KEEP_WORKERS_DAYS = 7

# A CTE, as a join may run a subquery for each row, and SKIP LOCKED then finds others beyond the limit.
_expired_keys = (
    select(idempotency_keys.c.owner, idempotency_keys.c.key)
    .where(idempotency_keys.c.expires_at < func.now())
    .limit(_KEYS_PER_CALL)
    .with_for_update(skip_locked=True)
    .cte("expired")
)
_delete_keys = delete(idempotency_keys).where(
    idempotency_keys.c.owner == _expired_keys.c.owner, idempotency_keys.c.key == _expired_keys.c.key
)
_delete_workers = delete(workers).where(
    workers.c.state.not_in(ALIVE),
    workers.c.last_seen_at < func.now() - func.make_interval(0, 0, 0, _KEEP_WORKERS_DAYS),
    ~select(jobs.c.id).where(jobs.c.worker_id == workers.c.id, jobs.c.dispatched_at.is_not(None)).exists(),
)


def delete_expired_keys(connection: Connection) -> int:
    """Delete up to 5000 expired idempotency keys; return how many."""
    return connection.execute(_delete_keys).rowcount


def delete_old_workers(connection: Connection) -> int:
    """Delete worker boots that ended a week ago and have no running job; return how many. History keeps their names."""
    return connection.execute(_delete_workers).rowcount
