"""Clients that leave or fall silent, servers that stop, storages that fail; and where the bytes are then."""

from __future__ import annotations

import hashlib
import os
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr

from callboard.api.limits.uploads import MAX_UPLOADS
from callboard.db.files.rows import remove_orphans
from callboard.db.files.storage import open_storage
from callboard.db.rules.ids import new_id
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from tests.api.files.uploading import BIG, HalfUpload, count_rows, half_upload, problem, serving_files, upload
from tests.services.s3 import BUCKET, private_s3
from tests.support.until import until


def test_a_client_that_leaves_leaves_nothing(client: httpx.Client, database: Database, store: Path) -> None:
    with half_upload(client, store):
        pass

    until(lambda: list(store.iterdir()) == [], what="the store is empty")
    assert count_rows(database) == 0


def test_a_client_that_falls_silent_is_told_so(file_settings: Settings, store: Path) -> None:
    with (
        serving_files(file_settings.model_copy(update={"receive_timeout": 0.2})) as api,
        half_upload(api.client, store) as half,
    ):
        assert b" 408 " in half.answer()
        until(lambda: list(store.iterdir()) == [], what="the store is empty")


def test_uploads_beyond_the_most_are_refused_and_others_served(client: httpx.Client, store: Path) -> None:
    file = upload(client)
    with ExitStack() as uploads:
        # What is stored is stored in blocks of a mebibyte.
        halves = [
            uploads.enter_context(half_upload(client, store, size=2**20 + 1, owner=f"owner-{number}"))
            for number in range(MAX_UPLOADS)
        ]

        answer = client.post("/v1/files", files={"file": b"x"})

        problem(answer, 503, "unavailable")
        assert "retry-after" in answer.headers
        assert client.get(f"/v1/files/{file['id']}").status_code == 200
        assert b" 201 " in halves[0].finish()
        upload(client)


def test_one_client_leaves_room_for_others(client: httpx.Client, store: Path) -> None:
    with ExitStack() as uploads:

        def begin(owner: str, count: int) -> list[HalfUpload]:
            return [
                uploads.enter_context(half_upload(client, store, size=2**20 + 1, owner=owner)) for _ in range(count)
            ]

        greedy = begin("ann", MAX_UPLOADS // 2)
        refused = client.post("/v1/files", files={"file": b"x"})
        begin("bob", MAX_UPLOADS // 4)

        assert f"{MAX_UPLOADS // 2} uploads" in problem(refused, 429, "quota-exceeded")["detail"]
        assert refused.headers["retry-after"] == "5"
        assert refused.headers["ratelimit"] == '"uploads";r=0;t=5'
        for owner in ("bob", "ann"):
            again = client.post("/v1/files", files={"file": b"x"}, headers={"x-owner": owner})
            problem(again, 429, "quota-exceeded")
        assert client.post("/v1/files", files={"file": b"x"}, headers={"x-owner": "eve"}).status_code == 201
        for half in greedy[: MAX_UPLOADS // 4]:
            assert b" 201 " in half.finish()
        upload(client)


def test_a_server_that_stops_leaves_nothing(file_settings: Settings, database: Database, store: Path) -> None:
    with ExitStack() as connections:
        with serving_files(file_settings) as api:
            connections.enter_context(half_upload(api.client, store))
            api.server.config.timeout_graceful_shutdown = 1

        until(lambda: list(store.iterdir()) == [], what="the store is empty")
    assert count_rows(database) == 0


def test_a_storage_that_is_away_is_unavailable(client: httpx.Client, database: Database, store: Path) -> None:
    file = upload(client)
    store.rename(store.with_name("away"))

    for answer in (client.get(f"/v1/files/{file['id']}"), client.post("/v1/files", files={"file": b"x"})):
        body = problem(answer, 503, "unavailable")
        assert str(store) not in body["detail"]
    assert client.head(f"/v1/files/{file['id']}").status_code == 200
    assert count_rows(database) == 1


def test_a_file_whose_bytes_stay_is_deleted_all_the_same(client: httpx.Client, database: Database, store: Path) -> None:
    file = upload(client)
    (store / file["id"]).unlink()
    (store / file["id"]).mkdir()  # cannot be unlinked

    assert client.delete(f"/v1/files/{file['id']}").status_code == 204

    assert count_rows(database) == 0


def test_bytes_without_a_row_are_swept_up(file_settings: Settings, database: Database, store: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    away: dict[str, Any] = {"database_url": SecretStr(f"postgresql://nobody@127.0.0.1:{port}/x"), "connect_timeout": 1}
    # Otherwise the quota would be asked for first, and nothing stored.
    away["max_stored_bytes"] = 0
    with serving_files(file_settings.model_copy(update=away)) as api:
        problem(api.client.post("/v1/files", files={"file": b"x"}), 503, "unavailable")
    [left] = store.iterdir()
    os.utime(left, (1, 1))

    assert remove_orphans(database, open_storage(file_settings)) == 1

    assert list(store.iterdir()) == []


def test_files_are_kept_in_a_bucket(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with private_s3() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-key-id")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret")
        with serving_files(settings.model_copy(update={"files_url": f"s3://{BUCKET}/uploads"})) as api:
            client, content = api.client, BIG * 4
            file = upload(client, content)
            url = f"/v1/files/{UUID(file['id'])}"

            assert file["sha256"] == hashlib.sha256(content).hexdigest()
            assert client.get(url).content == content
            assert client.get(url, headers={"Range": "bytes=-5"}).content == content[-5:]
            assert client.delete(url).status_code == 204
            assert client.get(url).status_code == 404
            assert "<Key>" not in httpx.get(f"{endpoint}/{BUCKET}").text


def test_a_download_that_is_broken_off_lets_go_of_the_file(client: httpx.Client, store: Path) -> None:
    made = upload(client, BIG)
    path = store / made["id"]

    def is_open() -> bool:
        return any(os.path.realpath(link) == str(path.resolve()) for link in Path("/proc/self/fd").iterdir())

    with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(f"GET /v1/files/{made['id']} HTTP/1.1\r\nHost: x\r\nX-Owner: ann\r\n\r\n".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    until(lambda: not is_open(), what="the file is closed")


def test_a_reader_that_reads_nothing_lets_go_of_the_file(file_settings: Settings, store: Path) -> None:
    storage = open_storage(file_settings)
    file_id = new_id()
    storage.put(file_id, [b"abc"])
    storage.read(file_id, 0, 3).close()  # an open file would be a ResourceWarning
    assert (store / str(file_id)).exists()
