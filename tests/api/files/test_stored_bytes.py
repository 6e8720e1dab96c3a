"""The quota of stored bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from callboard.db.files.rows import File, insert_file
from callboard.db.rules.ids import new_id
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from tests.api.files.uploading import count_rows, half_upload, problem, serving_files, upload
from tests.support.until import until

MEGABYTE = 2**20
Limited = Callable[..., httpx.Client]


@pytest.fixture
def limited(file_settings: Settings) -> Iterator[Limited]:
    with ExitStack() as stack:

        def limited(**changes: Any) -> httpx.Client:
            return stack.enter_context(serving_files(file_settings.model_copy(update=changes))).client

        yield limited


def post(client: httpx.Client, size: int, **headers: str) -> httpx.Response:
    return client.post("/v1/files", files={"file": ("a", b"x" * size)}, headers=headers)


def test_an_owner_stores_so_much(limited: Limited, store: Path, database: Database) -> None:
    client = limited(max_stored_bytes=3 * MEGABYTE)
    first = upload(client, b"x" * 2 * MEGABYTE)

    refused = problem(post(client, MEGABYTE + 1), 413, "too-large")

    assert "2,097,152 bytes" in refused["detail"]
    assert "3,145,728" in refused["detail"]
    assert "CALLBOARD_MAX_STORED_BYTES" in refused["detail"]
    until(lambda: len(list(store.iterdir())) == 1, what="nothing is left of what was refused")
    assert post(client, MEGABYTE).status_code == 201
    # Nothing is left: not even an empty file is taken.
    problem(post(client, 0), 413, "too-large")
    assert post(client, 2 * MEGABYTE, **{"x-owner": "bob"}).status_code == 201
    assert client.delete(f"/v1/files/{first['id']}").status_code == 204
    assert post(client, 2 * MEGABYTE).status_code == 201
    assert count_rows(database) == 3


def test_uploads_at_the_same_time_do_not_exceed_it_together(limited: Limited, store: Path, database: Database) -> None:
    client = limited(max_stored_bytes=8 * MEGABYTE)
    with ExitStack() as uploads:
        halves = [uploads.enter_context(half_upload(client, store, owner="ann")) for _ in range(2)]
        answers = [half.finish() for half in halves]

    assert [b" 201 " in answer for answer in answers] == [True, False]
    assert b" 413 " in answers[1]
    until(lambda: len(list(store.iterdir())) == 1, what="the bytes of the second are gone")
    assert count_rows(database) == 1


def test_by_default_there_is_a_limit(limited: Limited, database: Database) -> None:
    client = limited()
    with database.begin() as connection:
        insert_file(connection, File(new_id(), "ann", "a", 100 * 2**30, b"x" * 32, "text/plain"))

    problem(post(client, 1), 413, "too-large")
    assert post(limited(max_stored_bytes=0), 1).status_code == 201
