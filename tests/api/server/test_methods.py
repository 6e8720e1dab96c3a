"""HEAD, OPTIONS and 405 of every resource, and paths with something after their end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from callboard.db.rules.states import Status
from callboard.db.sql.engine import Database
from tests.api.conftest import Serve
from tests.api.files.uploading import upload
from tests.support.factory import Factory
from tests.support.serving import Served

Problem = Callable[[httpx.Response, int, str], dict[str, Any]]
VARYING = {"date", "x-request-id"}


def headers_of(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in VARYING}


def test_head_has_what_get_has_but_the_content(api: Served, factory: Factory) -> None:
    job_id = factory.in_state(Status.SUCCEEDED)
    file = upload(api.client, b"0123456789")
    document = api.get("/openapi.json")
    gets = {path for path, operations in document["paths"].items() if "get" in operations}
    streams = {"/v1/jobs/stream"}
    filled = {
        path.replace("{job_id}", str(job_id))
        .replace("{file_id}", file["id"])
        .replace("{name}", "test.job")
        .replace("{code}", "not-found")
        for path in gets - streams
    }
    for path in sorted(filled | {"/docs", "/openapi.json", "/callboard.js", "/docs/assets/swagger-ui.css"}):
        got, head = api.client.get(path), api.client.head(path)
        assert got.status_code < 400, (path, got.text)
        assert head.status_code == got.status_code, path
        assert head.content == b""
        if "content-length" in got.headers and path not in {"/metrics", "/v1/stats"}:  # which tell the time
            assert headers_of(head) == headers_of(got), path


def test_streams_answer_their_headers_at_once(api: Served, factory: Factory) -> None:
    job_id = factory.in_state(Status.RUNNING)
    for path in ("/v1/jobs/stream", f"/v1/jobs/{job_id}/events"):
        head = api.client.head(path, headers={"Accept": "text/event-stream"})
        assert head.status_code == 200
        assert head.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert len(api.app.state.services.live) == 0, "none is left open"


def test_head_erases_nothing(api: Served, factory: Factory, database: Database) -> None:
    job_id: UUID = factory.in_state(Status.SUCCEEDED)
    path = f"/v1/jobs/{job_id}/result"
    assert api.client.head(path, params={"consume": "true"}).status_code == 200
    assert api.client.get(path).status_code == 200
    assert api.client.get(path, params={"consume": "true"}).status_code == 200
    assert api.client.head(path).status_code == 410


def test_head_of_what_is_not_there(api: Served) -> None:
    assert api.client.head("/v1/jobs/none").status_code == 404
    head = api.client.head("/v1/jobs/batch")
    assert (head.status_code, head.headers["allow"], head.content) == (405, "POST", b"")
    assert api.client.head("/v1/jobs?page_size=x").status_code == 422


def test_head_of_a_file_knows_no_ranges(api: Served) -> None:
    file = upload(api.client, b"0123456789")
    head = api.client.head(f"/v1/files/{file['id']}", headers={"Range": "bytes=0-1"})
    assert (head.status_code, head.headers["content-length"]) == (200, "10")
    tag = head.headers["etag"]
    assert api.client.head(f"/v1/files/{file['id']}", headers={"If-None-Match": tag}).status_code == 304


def test_head_is_counted_as_what_it_is(api: Served) -> None:
    api.client.head("/v1/queues")
    assert 'method="HEAD",route="/v1/queues",status="200"' in api.client.get("/metrics").text


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/jobs", "GET, HEAD, POST"),
        ("/v1/jobs/batch", "POST"),
        ("/v1/jobs/019aa1f0-7c00-7000-8000-000000000000", "DELETE, GET, HEAD, PATCH"),
        ("/livez", "GET, HEAD"),
        ("/docs", "GET, HEAD"),
        ("/openapi.json", "GET, HEAD"),
        ("/docs/assets/swagger-ui.css", "GET, HEAD"),
        ("/", "GET, HEAD"),
    ],
)
def test_allow_names_the_methods(api: Served, as_problem: Problem, path: str, allowed: str) -> None:
    answer = api.client.put(path)
    as_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == allowed
    options = api.client.options(path)
    assert options.headers["allow"] == allowed
    assert options.status_code in ((204,) if "assets" not in path and "openapi" not in path else (405,))


def test_options_of_what_is_not_there(api: Served) -> None:
    assert api.client.options("/v2/jobs").status_code == 404


def test_a_newline_after_a_path_is_another_path(api: Served, factory: Factory, as_problem: Problem) -> None:
    job_id = factory.in_state(Status.SUCCEEDED)
    file = upload(api.client, b"x")
    for path in (
        f"/v1/jobs/{job_id}", f"/v1/jobs/{job_id}/result", f"/v1/files/{file['id']}", "/v1/jobs", "/v1/queues",
        "/v1/job-types/test.job", "/problems/not-found", "/livez", "/docs", "/",
    ):  # fmt: skip
        as_problem(api.client.get(f"{path}%0A"), 404, "not-found")
    as_problem(api.client.post("/v1/run/test.job%0A", json={}), 404, "not-found")
    as_problem(api.client.delete(f"/v1/jobs/{job_id}%0A"), 404, "not-found")


def test_only_the_usual_form_of_an_id_names_a_thing(api: Served, as_problem: Problem) -> None:
    id_of_zero = "00000000-0000-0000-0000-000000000000"
    for text in (f"{id_of_zero[:-1]}%0A", f"{id_of_zero[:-2]}%200", f"%2B{id_of_zero[1:]}", f"0_{id_of_zero[2:]}"):
        for kind in ("jobs", "files"):
            as_problem(api.client.get(f"/v1/{kind}/{text}"), 404, "not-found")


def test_the_index_leads_on(serve: Serve) -> None:
    client = serve().client
    index = client.get("/")
    assert index.headers["vary"] == "Accept"
    assert {"name", "version", "links"} == index.json().keys()
    for link in index.json()["links"].values():
        assert client.get(link).status_code == 200
    browser = client.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (browser.status_code, browser.headers["location"]) == (307, "/docs")
