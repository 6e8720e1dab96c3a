from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from callboard.db.errors import NotFound
from callboard.db.files.rows import File, delete_file, get_file, insert_file, remove_orphans
from callboard.db.files.storage import Storage, open_storage
from callboard.db.rules.ids import new_id
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database

DAY = 86_400.0


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(Settings(files_url=tmp_path.as_uri()))


def a_file(owner: str = "ann") -> File:
    return File(new_id(), owner, "Übersicht 2026.csv", 2**40, hashlib.sha256(b"x").digest(), "text/csv")


def test_a_file_is_found_as_it_was_stored(database: Database) -> None:
    file = a_file()

    with database.begin() as connection:
        insert_file(connection, file)

    with database.begin() as connection:
        assert get_file(connection, file.id, owner="ann") == file
        assert get_file(connection, file.id, owner=None) == file
    assert abs(datetime.now(UTC) - file.created_at) < timedelta(minutes=1)


def test_a_file_of_someone_else_is_not_found(database: Database) -> None:
    file = a_file()
    with database.begin() as connection:
        insert_file(connection, file)

        with pytest.raises(NotFound, match=str(file.id)):
            get_file(connection, file.id, owner="bob")
        with pytest.raises(NotFound, match=str(file.id)):
            delete_file(connection, file.id, owner="bob")
        assert get_file(connection, file.id, owner="ann") == file


@pytest.mark.parametrize("owner", ["ann", None])
def test_a_deleted_file_is_not_found(database: Database, owner: str | None) -> None:
    file, other = a_file(), a_file()
    with database.begin() as connection:
        insert_file(connection, file)
        insert_file(connection, other)

        delete_file(connection, file.id, owner=owner)

        with pytest.raises(NotFound):
            get_file(connection, file.id, owner=None)
        with pytest.raises(NotFound):
            delete_file(connection, file.id, owner=owner)
        assert get_file(connection, other.id, owner="ann") == other


def aged(path: Path, seconds: float) -> None:
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def test_only_old_bytes_without_a_row_are_removed(database: Database, storage: Storage, tmp_path: Path) -> None:
    known, orphan, young = (replace(a_file(), size=1) for _ in range(3))
    for file in (known, orphan, young):
        storage.put(file.id, [b"x"])
    killed = tmp_path / f"{new_id()}.part"
    killed.write_bytes(b"half of")
    for path in (tmp_path / str(known.id), tmp_path / str(orphan.id), killed):
        aged(path, 2 * DAY)
    with database.begin() as connection:
        insert_file(connection, known)

    assert remove_orphans(database, storage, older_than=DAY) == 2

    assert {path.name for path in tmp_path.iterdir()} == {str(known.id), str(young.id)}
    assert remove_orphans(database, storage, older_than=DAY) == 0
