"""Rows of files: names, sizes and owners. The bytes are in a :class:`Storage`.

An upload stores the bytes, then the row; a deletion removes the row, then the bytes. So a row always has its bytes, and
a crash in between leaves at most bytes without a row, which :func:`remove_orphans` finds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NoReturn
from uuid import UUID

import structlog
from sqlalchemy import BigInteger, ColumnElement, Connection, cast, delete, func, insert, literal, select

from callboard.db.errors import NotFound, Unavailable
from callboard.db.files.storage import Storage
from callboard.db.models import files
from callboard.db.rules.ids import created_at_of
from callboard.db.sql.engine import Database

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class File:
    """One uploaded file. ``name`` is for people only, ``size`` is bytes, ``sha256`` 32 bytes."""

    id: UUID
    owner: str
    name: str
    size: int
    sha256: bytes
    media_type: str

    @property
    def created_at(self) -> datetime:
        """When its upload began (UTC)."""
        return created_at_of(self.id)


def insert_file(connection: Connection, file: File) -> None:
    """Store the row of a file whose bytes are stored."""
    connection.execute(insert(files).values(_values(file)))


def insert_file_within(connection: Connection, file: File, *, most: int) -> bool:
    """:func:`insert_file`, unless the files of its owner have more than ``most`` bytes then; 0: no limit.

    Of uploads that end at the same moment, each may find the others missing.

    Returns:
        Whether the row was stored.
    """
    if not most:
        insert_file(connection, file)
        return True
    row = [literal(value, files.c[name].type) for name, value in _values(file).items()]
    fits = _size_of(file.owner) + file.size <= most
    statement = insert(files).from_select(list(_values(file)), select(*row).where(fits))
    return bool(connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount)


def stored_bytes_of(connection: Connection, owner: str) -> int:
    """Return the bytes of all files of ``owner``, its jobs' outputs included."""
    stored: int = connection.execute(select(_size_of(owner))).scalar_one()
    return stored


def _size_of(owner: str) -> ColumnElement[int]:
    total = cast(func.coalesce(func.sum(files.c.size), 0), BigInteger)
    return select(total).where(files.c.owner == owner).scalar_subquery()


def _values(file: File) -> dict[str, Any]:
    return {
        "id": file.id,
        "owner": file.owner,
        "name": file.name,
        "size": file.size,
        "sha256": file.sha256,
        "media_type": file.media_type,
        "created_at": file.created_at,
    }


def get_file(connection: Connection, file_id: UUID, *, owner: str | None) -> File:
    """Return a file of ``owner``; of anyone where ``owner`` is None.

    Raises:
        NotFound: there is no such file, or it is someone else's.
    """
    statement = select(files.c.id, files.c.owner, files.c.name, files.c.size, files.c.sha256, files.c.media_type).where(
        files.c.id == file_id
    )
    if owner is not None:
        statement = statement.where(files.c.owner == owner)
    row = connection.execute(statement).mappings().first()
    if row is None:
        _refuse(file_id)
    return File(**row)


def delete_file(connection: Connection, file_id: UUID, *, owner: str | None) -> None:
    """Delete the row of a file of ``owner``, of anyone where ``owner`` is None.

    The bytes are to be deleted after the commit.

    Raises:
        NotFound: there is no such file, or it is someone else's.
    """
    statement = delete(files).where(files.c.id == file_id)
    if owner is not None:
        statement = statement.where(files.c.owner == owner)
    if connection.execute(statement).rowcount == 0:
        _refuse(file_id)


def _refuse(file_id: UUID) -> NoReturn:
    raise NotFound(f"There is no file {file_id}.")


def delete_bytes(storage: Storage, file_ids: Iterable[UUID]) -> None:
    """Delete the bytes of files whose rows have been deleted. Bytes that cannot be deleted now stay, as orphans."""
    for file_id in file_ids:
        try:
            storage.delete(file_id)
        except Unavailable as error:
            _log.warning("file_bytes_left_behind", file_id=str(file_id), reason=str(error))


_BATCH = 1000


def remove_orphans(database: Database, storage: Storage, *, older_than: float = 86_400.0) -> int:
    """Delete stored bytes without a row that were last written ``older_than`` seconds ago; return how many files.

    Younger bytes may belong to an upload that is about to store its row. No other database may use the storage: its
    files would look like orphans here.

    Raises:
        Unavailable: the database or the storage cannot be reached; bytes deleted by then stay deleted.
    """
    before = datetime.now(UTC) - timedelta(seconds=older_than)
    old = (item.file_id for item in storage.objects() if item.modified_at < before)
    removed = 0
    while batch := set(islice(old, _BATCH)):
        with database.begin() as connection:
            known = set(connection.execute(select(files.c.id).where(files.c.id.in_(batch))).scalars())
        for file_id in sorted(batch - known):
            storage.delete(file_id)
            removed += 1
    return removed
