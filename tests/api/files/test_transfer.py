from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import httpx
import pytest
import uvicorn
from fastapi import Request
from pydantic import SecretStr
from sqlalchemy import func, select

from callboard.actors.types.registry import Registry
from callboard.api.app import create_app
from callboard.api.auth.caller import Caller, Role, current_caller
from callboard.api.files import transfer
from callboard.db.files.rows import remove_orphans
from callboard.db.files.storage import open_storage
from callboard.db.models import files as rows
from callboard.db.rules.ids import new_id
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from tests.services.s3 import BUCKET, private_s3

LIMIT = 8 * 2**20
BIG = os.urandom(2**20) * 5
HEAD = b'--B\r\nContent-Disposition: form-data; name="file"; filename="half.bin"\r\n\r\n'
FORM = {"Content-Type": "multipart/form-data; boundary=B"}


async def caller_of_headers(request: Request) -> Caller:
    return Caller(request.headers.get("x-owner", "ann"), Role(request.headers.get("x-role", "client")))


@contextmanager
def serving(settings: Settings, *, grace: int = 10) -> Iterator[httpx.Client]:
    """Serve the application with uvicorn, as it is served for real; requests are Ann's unless they say otherwise."""
    app = create_app(settings, Registry())
    app.dependency_overrides[current_caller] = caller_of_headers
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=grace))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            host, port = listening.getsockname()
            with httpx.Client(base_url=f"http://{host}:{port}", timeout=30) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def file_settings(settings: Settings, store: Path) -> Settings:
    return settings.model_copy(update={"files_url": store.as_uri(), "max_file_bytes": LIMIT})


@pytest.fixture
def client(file_settings: Settings) -> Iterator[httpx.Client]:
    with serving(file_settings) as client:
        yield client


def upload(client: httpx.Client, content: bytes = b"0123456789", name: str = "a.txt") -> dict[str, Any]:
    answer = client.post("/v1/files", files={"file": (name, content, "text/plain")})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["code"] == code
    return body


def count_rows(database: Database) -> int:
    with database.begin() as connection:
        return connection.execute(select(func.count()).select_from(rows)).scalar_one()


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what another thread does and nobody is told of."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@dataclass
class HalfUpload:
    """A connection that has sent the beginning of an upload."""

    connection: socket.socket

    def send(self, content: bytes) -> None:
        self.connection.sendall(content)

    def answer(self) -> bytes:
        return self.connection.recv(65536)


@contextmanager
def half_upload(client: httpx.Client, store: Path, size: int = 3 * 2**20) -> Iterator[HalfUpload]:
    url = client.base_url
    with socket.create_connection((url.host, url.port or 80), timeout=20) as connection:
        connection.sendall(
            b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=B\r\n"
            b"Content-Length: 5000000\r\n\r\n" + HEAD + b"x" * size
        )
        # Bytes on disk while the request is still arriving: that is what streaming means.
        eventually(lambda: any(path.stat().st_size for path in store.glob("*.part")))
        yield HalfUpload(connection)


@pytest.mark.parametrize("content", [b"", b"x", BIG], ids=["empty", "one", "big"])
def test_what_was_uploaded_is_downloaded(client: httpx.Client, content: bytes) -> None:
    answer = client.post("/v1/files", files={"file": ("a.csv", content, "text/csv")})

    assert answer.status_code == 201
    body = answer.json()
    assert body == {
        "id": body["id"],
        "name": "a.csv",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "media_type": "text/csv",
    }
    assert answer.headers["location"] == f"/v1/files/{body['id']}"

    download = client.get(answer.headers["location"])
    assert download.status_code == 200
    assert download.content == content
    assert download.headers["content-length"] == str(len(content))
    assert download.headers["content-type"] == "text/csv"
    assert download.headers["content-disposition"] == 'attachment; filename="a.csv"'
    assert download.headers["x-content-type-options"] == "nosniff"
    assert download.headers["etag"] == f'"{body["sha256"]}"'


def test_a_body_without_a_length_is_taken(client: httpx.Client) -> None:
    chunks = iter([HEAD, BIG, b"\r\n--B--\r\n"])

    answer = client.post("/v1/files", content=chunks, headers=FORM)

    assert answer.status_code == 201
    assert answer.json()["size"] == len(BIG)


def test_a_name_cannot_leave_its_header_or_directory(client: httpx.Client, store: Path) -> None:
    file = upload(client, name="../../etc/pass\u202ewd'; x='\u20ac")

    assert file["name"] == "passwd'; x='€"
    assert [path.name for path in store.iterdir()] == [file["id"]]
    disposition = client.get(f"/v1/files/{file['id']}").headers["content-disposition"]
    assert disposition == "attachment; filename=\"passwd__ x=__\"; filename*=UTF-8''passwd%27%3B%20x%3D%27%E2%82%AC"


@pytest.mark.parametrize(
    ("wanted", "status", "content", "content_range"),
    [
        ("bytes=0-0", 206, b"0", "bytes 0-0/10"),
        ("bytes=3-5", 206, b"345", "bytes 3-5/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=5-99", 206, b"56789", "bytes 5-9/10"),
        ("bytes=0-1,4-5", 200, b"0123456789", None),
        ("nonsense", 200, b"0123456789", None),
    ],
)
def test_a_range_is_downloaded(
    client: httpx.Client, wanted: str, status: int, content: bytes, content_range: str | None
) -> None:
    answer = client.get(f"/v1/files/{upload(client)['id']}", headers={"Range": wanted})

    assert (answer.status_code, answer.content) == (status, content)
    assert answer.headers["content-length"] == str(len(content))
    assert answer.headers.get("content-range") == content_range
    assert answer.headers["accept-ranges"] == "bytes"


def test_a_range_behind_the_end_is_refused(client: httpx.Client) -> None:
    answer = client.get(f"/v1/files/{upload(client)['id']}", headers={"Range": "bytes=10-"})

    problem(answer, 416, "http-error")
    assert answer.headers["content-range"] == "bytes */10"


def test_a_download_goes_on_only_with_the_same_content(client: httpx.Client) -> None:
    file = upload(client)
    tag = f'"{file["sha256"]}"'

    def resume(if_range: str) -> httpx.Response:
        return client.get(f"/v1/files/{file['id']}", headers={"Range": "bytes=5-", "If-Range": if_range})

    assert (resume(tag).status_code, resume(tag).content) == (206, b"56789")
    for other in ('"other"', f"W/{tag}", "Sun, 22 Nov 2026 03:00:00 GMT"):
        assert (resume(other).status_code, resume(other).content) == (200, b"0123456789")


def test_what_the_client_has_is_not_sent_again(client: httpx.Client) -> None:
    file = upload(client)

    answer = client.get(f"/v1/files/{file['id']}", headers={"If-None-Match": f'"x", "{file["sha256"]}"'})

    assert (answer.status_code, answer.content) == (304, b"")


def test_head_describes_the_file(client: httpx.Client) -> None:
    url = f"/v1/files/{upload(client)['id']}"

    answer, got = client.head(url, headers={"Range": "bytes=0-1"}), client.get(url)

    assert (answer.status_code, answer.content) == (200, b"")
    for name in ("content-length", "content-type", "content-disposition", "etag", "accept-ranges"):
        assert answer.headers[name] == got.headers[name]
    assert client.head(f"/v1/files/{new_id()}").status_code == 404


@pytest.mark.parametrize(
    ("owner", "role", "read", "delete"),
    [
        ("ann", "client", 200, 204),
        ("bob", "client", 404, 404),
        ("bob", "viewer", 200, 403),
        ("ann", "viewer", 200, 204),
        ("bob", "operator", 200, 204),
        ("bob", "admin", 200, 204),
    ],
)
def test_who_may(client: httpx.Client, owner: str, role: str, read: int, delete: int) -> None:
    url = f"/v1/files/{upload(client)['id']}"
    headers = {"x-owner": owner, "x-role": role}

    assert client.get(url, headers=headers).status_code == read
    assert client.head(url, headers=headers).status_code == read
    assert client.delete(url, headers=headers).status_code == delete
    assert client.get(url).status_code == (404 if delete == 204 else 200)


def test_a_deleted_file_is_gone(client: httpx.Client, database: Database, store: Path) -> None:
    url = f"/v1/files/{upload(client)['id']}"

    answer = client.delete(url)

    assert (answer.status_code, answer.content) == (204, b"")
    problem(client.get(url), 404, "not-found")
    problem(client.delete(url), 404, "not-found")
    assert list(store.iterdir()) == []
    assert count_rows(database) == 0


@pytest.mark.parametrize(
    "file_id", ["01a20185-05ed-756f-b9d4-61a1a52b1622", "x", "01A2018505ED756FB9D461A1A52B1622", "..%2f..%2fetc"]
)
def test_an_unknown_id_is_not_found(client: httpx.Client, file_id: str) -> None:
    problem(client.get(f"/v1/files/{file_id}"), 404, "not-found")


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (HEAD + b"x", FORM["Content-Type"]),
        (HEAD + b"x\r\n" + HEAD + b"y\r\n--B--\r\n", FORM["Content-Type"]),
        (HEAD + b"x\r\n--B--\r\n", "multipart/form-data; boundary=C"),
        (b'{"file": 1}', "application/json"),
        (b"", ""),
    ],
    ids=["cut short", "two files", "another boundary", "json", "nothing"],
)
def test_another_body_is_refused_and_leaves_nothing(
    client: httpx.Client, database: Database, store: Path, content: bytes, content_type: str
) -> None:
    answer = client.post("/v1/files", content=content, headers={"Content-Type": content_type})

    problem(answer, 422, "invalid-input")
    assert list(store.iterdir()) == []
    assert count_rows(database) == 0


def test_a_file_over_the_limit_is_refused_before_it_is_sent(client: httpx.Client) -> None:
    url = client.base_url
    with socket.create_connection((url.host, url.port or 80), timeout=20) as connection:
        connection.sendall(
            b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=B\r\n"
            b"Content-Length: 99999999999\r\n\r\n"
        )
        assert b" 413 " in connection.recv(65536)


def test_a_file_that_grows_over_the_limit_leaves_nothing(client: httpx.Client, database: Database, store: Path) -> None:
    chunks = iter([HEAD, *[b"x" * 2**16] * (LIMIT // 2**16), b"x", b"\r\n--B--\r\n"])

    problem(client.post("/v1/files", content=chunks, headers=FORM), 413, "too-large")

    assert list(store.iterdir()) == []
    assert count_rows(database) == 0


def test_a_file_of_just_the_limit_is_taken(client: httpx.Client) -> None:
    assert upload(client, b"x" * LIMIT)["size"] == LIMIT


def test_a_file_may_be_larger_than_other_bodies(file_settings: Settings) -> None:
    with serving(file_settings.model_copy(update={"max_body_bytes": 2**10})) as client:
        assert upload(client, BIG)["size"] == len(BIG)


def test_a_client_that_leaves_leaves_nothing(client: httpx.Client, database: Database, store: Path) -> None:
    with half_upload(client, store):
        pass

    eventually(lambda: list(store.iterdir()) == [])
    assert count_rows(database) == 0


def test_a_client_that_falls_silent_is_told_so(
    client: httpx.Client, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "_LONGEST_SILENCE", 0.2)

    with half_upload(client, store) as half:
        assert b" 408 " in half.answer()

    assert list(store.iterdir()) == []


def test_uploads_beyond_the_most_are_refused_and_others_served(
    client: httpx.Client, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = upload(client)
    monkeypatch.setattr(transfer, "_uploads", anyio.CapacityLimiter(1))

    with half_upload(client, store) as half:
        answer = client.post("/v1/files", files={"file": b"x"})
        problem(answer, 503, "unavailable")
        assert "retry-after" in answer.headers
        assert client.get(f"/v1/files/{file['id']}").status_code == 200
        half.send(b"x" * (5_000_000 - 3 * 2**20 - len(HEAD) - 9) + b"\r\n--B--\r\n")
        assert b" 201 " in half.answer()

    upload(client)


def test_a_server_that_stops_leaves_nothing(file_settings: Settings, database: Database, store: Path) -> None:
    with ExitStack() as connections:
        with serving(file_settings, grace=1) as client:
            connections.enter_context(half_upload(client, store))

        eventually(lambda: list(store.iterdir()) == [])
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
    away = {"database_url": SecretStr(f"postgresql://nobody@127.0.0.1:{port}/x"), "connect_timeout": 1}
    with serving(file_settings.model_copy(update=away)) as client:
        problem(client.post("/v1/files", files={"file": b"x"}), 503, "unavailable")
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
        with serving(settings.model_copy(update={"files_url": f"s3://{BUCKET}/uploads"})) as client:
            content = BIG * 4
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
    eventually(lambda: not is_open())


def test_a_reader_that_reads_nothing_lets_go_of_the_file(file_settings: Settings, store: Path) -> None:
    storage = open_storage(file_settings)
    file_id = new_id()
    storage.put(file_id, [b"abc"])
    storage.read(file_id, 0, 3).close()  # an open file would be a ResourceWarning
    assert (store / str(file_id)).exists()
