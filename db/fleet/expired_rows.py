"""Rows that have served their time: idempotency keys and worker boots. History goes by retention rules only."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, select

from callboard.db.fleet.workers import ALIVE
from callboard.db.models import idempotency_keys, jobs, workers

_AT_ONCE = 5000
_KEEP_WORKERS_DAYS = 7

_expired_keys = (
    select(idempotency_keys.c.owner, idempotency_keys.c.key)
    .where(idempotency_keys.c.expires_at < func.now())
    .limit(_AT_ONCE)
    .with_for_update(skip_locked=True)
    .subquery()
)
_forget_keys = delete(idempotency_keys).where(
    idempotency_keys.c.owner == _expired_keys.c.owner, idempotency_keys.c.key == _expired_keys.c.key
)
_forget_workers = delete(workers).where(
    workers.c.state.not_in(ALIVE),
    workers.c.last_seen_at < func.now() - func.make_interval(0, 0, 0, _KEEP_WORKERS_DAYS),
    ~select(jobs.c.id).where(jobs.c.worker_id == workers.c.id, jobs.c.dispatched_at.is_not(None)).exists(),
)


def delete_expired_keys(connection: Connection) -> int:
    """Delete idempotency keys past their time, some thousands at most; return how many."""
    return connection.execute(_forget_keys).rowcount


def delete_old_workers(connection: Connection) -> int:
    """Delete worker boots that ended a week ago and hold no job; return how many. History keeps their names."""
    return connection.execute(_forget_workers).rowcount
