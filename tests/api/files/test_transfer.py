"""Uploads, downloads, ranges: requests and responses of ``/v1/files``."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path

import httpx
import pytest

from callboard.db.rules.ids import new_id
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from tests.api.files.uploading import BIG, FORM, HEAD, LIMIT, count_rows, problem, serving_files, upload


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
    with serving_files(file_settings.model_copy(update={"max_body_bytes": 2**10})) as api:
        assert upload(api.client, BIG)["size"] == len(BIG)
