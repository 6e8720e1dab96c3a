"""Headers of security: on every response, whoever makes it."""

from __future__ import annotations

import socket

import httpx
import pytest

from tests.support.factory import Factory
from tests.support.serving import Served

DEFAULTS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def security_of(answer: httpx.Response) -> dict[str, str]:
    assert all(len(answer.headers.get_list(name)) == 1 for name in DEFAULTS), answer.headers
    return {name: answer.headers[name] for name in DEFAULTS}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/jobs", "/v1/jobs/stream", "/v1/job-types", "/v1/history/export", "/v1/nothing", "/v1/jobs?page_size=0",
        "/livez", "/metrics", "/openapi.json", "/problems/forbidden",
    ],
)  # fmt: skip
def test_every_response_has_them(client: httpx.Client, path: str) -> None:
    with client.stream("GET", path) as answer:
        assert security_of(answer) == DEFAULTS


def test_a_job_may_be_kept_and_is_revalidated(api: Served, factory: Factory) -> None:
    job = api.submit()
    path = job["links"]["self"]
    shown = api.client.get(path)

    revalidated = DEFAULTS | {"cache-control": "private, no-cache"}
    assert security_of(shown) == revalidated
    assert security_of(api.client.post("/v1/jobs", json={"type": "test.job", "payload": {}})) == revalidated
    seen = api.client.get(path, headers={"If-None-Match": shown.headers["etag"]})
    assert (seen.status_code, security_of(seen)) == (304, revalidated)


def test_an_unexpected_error_has_them(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callboard.api.jobs.listing.page", lambda *_: 1 / 0)

    answer = client.get("/v1/jobs")

    assert (answer.status_code, security_of(answer)) == (500, DEFAULTS)


def test_a_response_to_what_is_no_http_has_them(api: Served) -> None:
    with socket.create_connection(api.address, timeout=20) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        head = connection.recv(65536).lower()

    assert head.startswith(b"http/1.1 400 ")
    for name, value in DEFAULTS.items():
        assert f"{name}: {value}\r\n".lower().encode() in head


def test_a_file_never_runs_as_a_page(client: httpx.Client) -> None:
    file_id = client.post("/v1/files", files={"file": ("a.html", b"<script>", "text/html")}).json()["id"]

    assert security_of(client.get(f"/v1/files/{file_id}")) == DEFAULTS | {
        "content-security-policy": "default-src 'none'; sandbox",
        "cache-control": "private, no-cache",
    }


def test_pages_of_other_origins_may_import_the_client(client: httpx.Client) -> None:
    assert security_of(client.get("/callboard.js"))["cross-origin-resource-policy"] == "cross-origin"


def test_the_page_of_docs_runs_its_own_scripts_only(client: httpx.Client) -> None:
    policy = security_of(client.get("/docs"))["content-security-policy"]

    scripts = policy.partition("script-src ")[2].partition(";")[0].split()
    assert scripts[0] == "'self'"
    assert [script[:8] for script in scripts[1:]] == ["'sha256-"]
    assert "frame-ancestors 'none'" in policy
