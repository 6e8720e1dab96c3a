"""API keys: made, listed, rotated, revoked, and read by the api to authenticate callers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, exists, func, insert, or_, select, update
from sqlalchemy.exc import ProgrammingError

from callboard.db.errors import Conflict, NotFound, Unavailable
from callboard.db.models import api_keys
from callboard.db.rules.key_text import KeyText
from callboard.db.rules.roles import Role


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is stored. Times are UTC; a limit that is None is not set."""

    key_id: str
    secret_sha256: bytes = field(repr=False)
    name: str
    owner: str
    role: Role
    max_live_jobs: int | None
    submissions_per_second: float | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        """Return whether the key authenticates its caller at ``now``."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys, as the api reads them."""

    any_made: bool
    """Whether there ever was a key, valid or not."""
    valid: Mapping[str, Key]
    """The keys that were valid when this was read, by id."""


_valid = and_(api_keys.c.revoked_at.is_(None), or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > func.now()))


def read_keys(connection: Connection) -> Keys:
    """Return the keys that are valid now.

    Raises:
        Unavailable: the schema has not been made yet.
    """
    try:
        rows = connection.execute(select(*api_keys.c).where(_valid)).mappings().all()
    except ProgrammingError as error:
        raise Unavailable("The database has no table of API keys. Run 'callboard migrate'.") from error
    valid = {row["key_id"]: _key(row) for row in rows}
    any_made = bool(valid) or connection.execute(select(exists(select(api_keys.c.key_id)))).scalar_one()
    return Keys(any_made, valid)


def any_valid_key(connection: Connection) -> bool:
    """Return whether there is a valid key now; False where the schema has not been made yet."""
    if connection.execute(select(func.to_regclass(api_keys.fullname))).scalar_one() is None:
        return False
    any_valid: bool = connection.execute(select(exists(select(api_keys.c.key_id).where(_valid)))).scalar_one()
    return any_valid


def list_keys(connection: Connection) -> Sequence[Key]:
    """Return all keys that were ever made, newest first."""
    statement = select(*api_keys.c).order_by(api_keys.c.created_at.desc(), api_keys.c.key_id)
    return [_key(row) for row in connection.execute(statement).mappings()]


def add_key(
    connection: Connection,
    text: KeyText,
    *,
    name: str,
    owner: str,
    role: Role,
    max_live_jobs: int | None = None,
    submissions_per_second: float | None = None,
    lifetime: timedelta | None = None,
) -> Key:
    """Store a new key: its id and the SHA-256 of its secret. The secret cannot be shown again.

    Args:
        connection: in a transaction.
        text: the key.
        name: what people call the key.
        owner: the owner of the jobs that the key submits.
        role: what the key may do.
        max_live_jobs: most live jobs of its owner at a time, 0 or more; None: the server's default.
        submissions_per_second: above 0; None: the server's default.
        lifetime: the key is valid for so long; None: for ever.
    """
    values: dict[str, Any] = {
        "key_id": text.key_id,
        "secret_sha256": text.secret_sha256,
        "name": name,
        "owner": owner,
        "role": role.value,
        "max_live_jobs": max_live_jobs,
        "submissions_per_second": submissions_per_second,
        "expires_at": None if lifetime is None else func.now() + lifetime,
    }
    return _key(connection.execute(insert(api_keys).values(values).returning(*api_keys.c)).mappings().one())


def revoke_key(connection: Connection, key_id: str) -> Key:
    """Make a key invalid for good, and return it. Doing so twice is fine.

    Raises:
        NotFound: there is no such key.
    """
    statement = (
        update(api_keys)
        .where(api_keys.c.key_id == key_id)
        .values(revoked_at=func.coalesce(api_keys.c.revoked_at, func.now()))
        .returning(*api_keys.c)
    )
    row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        raise _no_such_key(key_id)
    return _key(row)


def rotate_key(connection: Connection, key_id: str, text: KeyText, *, overlap: timedelta) -> Key:
    """Store a new key with the name, owner, role, limits and lifetime of another, and return it.

    The old key stays valid for ``overlap``; with none it is revoked.

    Raises:
        NotFound: there is no such key.
        Conflict: the key is no longer valid.
    """
    row = (
        connection.execute(select(*api_keys.c).where(api_keys.c.key_id == key_id).with_for_update()).mappings().first()
    )
    if row is None:
        raise _no_such_key(key_id)
    old = _key(row)
    if not old.is_valid(datetime.now(UTC)):
        raise Conflict(f"Key {key_id} is no longer valid. Make a new one with 'callboard keys create'.")
    if overlap > timedelta(0):
        # LEAST leaves NULL out: a key that never expired does so now.
        ending = {"expires_at": func.least(api_keys.c.expires_at, func.now() + overlap)}
    else:
        ending = {"revoked_at": func.now()}
    connection.execute(update(api_keys).where(api_keys.c.key_id == key_id).values(ending))
    return add_key(
        connection,
        text,
        name=old.name,
        owner=old.owner,
        role=old.role,
        max_live_jobs=old.max_live_jobs,
        submissions_per_second=old.submissions_per_second,
        lifetime=None if old.expires_at is None else old.expires_at - old.created_at,
    )


def _key(row: RowMapping) -> Key:
    return Key(**{**row, "role": Role(row["role"]), "secret_sha256": bytes(row["secret_sha256"])})


def _no_such_key(key_id: str) -> NotFound:
    return NotFound(f"There is no key {key_id!r}. 'callboard keys list' shows them.")
