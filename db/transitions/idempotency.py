"""Idempotency keys: stored with the jobs of their request, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Double, LargeBinary, Text, Uuid, and_, cast, func, select, update
from sqlalchemy.dialects.postgresql import insert

from callboard.db.models import idempotency_keys
from callboard.db.sql.locks import idempotency_lock
from callboard.db.sql.rowset import rowset, rowset_of
from callboard.db.transitions.submission import IdempotencyKey, SubmissionKind, SubmissionRequest, SubmissionResult

_keys = rowset(owner=Text(), key=Text(), job_ids=Text(), request_hash=LargeBinary(), ttl=Double())
_unknown = (
    select(*_keys.c)
    .select_from(
        _keys.outerjoin(
            idempotency_keys,
            and_(idempotency_keys.c.owner == _keys.c.owner, idempotency_keys.c.key == _keys.c.key),
        )
    )
    .where(idempotency_keys.c.key.is_(None))
    .cte("unknown")
    .prefix_with("MATERIALIZED")
)
_take_keys = (
    insert(idempotency_keys)
    .from_select(
        ["owner", "key", "job_ids", "request_hash", "expires_at"],
        select(
            _unknown.c.owner,
            _unknown.c.key,
            cast(_unknown.c.job_ids, ARRAY(Uuid)),
            _unknown.c.request_hash,
            func.now() + func.make_interval(0, 0, 0, 0, 0, 0, _unknown.c.ttl),
            # An INSERT of a key that another transaction has inserted would wait for it, and the whole batch with it.
        ).where(func.pg_try_advisory_xact_lock(idempotency_lock(_unknown.c.owner, _unknown.c.key))),
    )
    .on_conflict_do_nothing()
)
_names = rowset(owner=Text(), key=Text())
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
_point_keys = (
    update(idempotency_keys)
    .where(idempotency_keys.c.owner == _keys.c.owner, idempotency_keys.c.key == _keys.c.key)
    .values(job_ids=cast(_keys.c.job_ids, ARRAY(Uuid)))
)


def take_keys(connection: Connection, keyed: Sequence[SubmissionRequest]) -> dict[int, SubmissionResult]:
    """Store the keys of these requests; return the results (by ``id()``) of requests whose key was taken before."""
    keys = {id(request): request.key for request in keyed if request.key is not None}
    if not keys:
        return {}
    taking: dict[tuple[str, str], tuple[IdempotencyKey, Sequence[UUID]]] = {}
    for request in keyed:
        key = keys[id(request)]
        taking.setdefault((key.owner, key.key), (key, [job.id for job in request.jobs]))
    connection.execute(_take_keys, _key_parameters(list(taking.values())))
    names = rowset_of({"owner": owner, "key": key} for owner, key in sorted(taking))
    holders = {(row.owner, row.key): row for row in connection.execute(_find_keys, names)}
    results = {}
    for request in keyed:
        key = keys[id(request)]
        holder = holders.get((key.owner, key.key))
        if holder is None:
            results[id(request)] = SubmissionResult(SubmissionKind.KEY_IN_FLIGHT, [], {})
        elif holder.job_ids != [job.id for job in request.jobs]:
            results[id(request)] = _later_use(key, holder)
    return results


def point_keys(connection: Connection, keys: Sequence[tuple[IdempotencyKey, Sequence[UUID]]]) -> None:
    """Replace the jobs that keys stand for."""
    connection.execute(_point_keys, _key_parameters(keys))


def find_submission(connection: Connection, key: IdempotencyKey) -> SubmissionResult | None:
    """Return the result of ``submit`` for a request whose key has been used; None if it has not."""
    names = rowset_of([{"owner": key.owner, "key": key.key}])
    holder = connection.execute(_find_keys, names).one_or_none()
    return None if holder is None else _later_use(key, holder)


def _later_use(key: IdempotencyKey, holder: Any) -> SubmissionResult:
    same = bytes(holder.request_hash) == key.request_hash
    kind = SubmissionKind.REPLAYED if same else SubmissionKind.KEY_REUSED
    return SubmissionResult(kind, holder.job_ids if same else [], {})


def _key_parameters(keys: Sequence[tuple[IdempotencyKey, Sequence[UUID]]]) -> dict[str, str]:
    return rowset_of(
        {
            "owner": key.owner,
            "key": key.key,
            "job_ids": "{" + ",".join(map(str, job_ids)) + "}",
            "request_hash": key.request_hash,
            "ttl": key.ttl,
        }
        for key, job_ids in sorted(keys, key=lambda item: (item[0].owner, item[0].key))
    )
