"""The open server: whom it takes for somebody on its machine, and whom it does not."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from callboard.api.auth.api_keys import OLDEST
from callboard.api.authenticator import Authenticator
from callboard.db.models import queues
from callboard.db.sql.engine import Database
from tests.support.keys import bearer, make_key
from tests.support.serving import Served
from tests.support.until import until

AsProblem = Callable[[httpx.Response, int, str], dict[str, Any]]
Serve = Callable[..., Served]

PAGE = "https://evil.example"
PAUSE = "/v1/queues/default/pause"


@pytest.fixture
def opened(serve: Serve) -> Callable[..., Served]:
    """Serve as an api process does on loopback; keyword arguments change settings."""
    return lambda **changes: serve(authenticate=Authenticator(local=True), **changes)


@pytest.fixture
def client(opened: Callable[..., Served]) -> httpx.Client:
    return opened().client


@pytest.mark.parametrize(
    "header",
    [
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Anything",
        "Forwarded",
        "Via",
        "X-Real-IP",
    ],
)
@pytest.mark.parametrize("value", ["127.0.0.1", "192.0.2.1", ""])
def test_what_a_proxy_forwards_is_refused(client: httpx.Client, as_problem: AsProblem, header: str, value: str) -> None:
    for method, path in [("GET", "/v1/jobs"), ("POST", "/v1/jobs"), ("POST", PAUSE), ("GET", "/metrics")]:
        said = as_problem(client.request(method, path, headers={header: value}), 403, "forbidden")["detail"]
        assert f"{header.lower()}: {value}" in said
        assert "callboard keys create" in said


@pytest.mark.parametrize("host", ["localhost", "LocalHost:8000", "127.0.0.1:1", "127.9.8.7", "[::1]", "[::1]:8000"])
def test_it_answers_under_the_names_of_its_machine(client: httpx.Client, host: str) -> None:
    assert client.get("/v1/jobs", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.1", "0.0.0.0",
        "[::]", "[::ffff:192.0.2.1]", "[localhost]", "localhost:8000:80", "",
    ],
)  # fmt: skip
def test_it_answers_under_no_other_name(client: httpx.Client, as_problem: AsProblem, host: str) -> None:
    for method, path in [("GET", "/v1/jobs"), ("POST", "/v1/jobs"), ("GET", f"/v1/jobs/{uuid.uuid4()}")]:
        said = as_problem(client.request(method, path, headers={"Host": host}), 421, "misdirected-request")["detail"]
        assert f"Host: {host}" in said
        assert "callboard keys create" in said


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": PAGE},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},  # another program's page on this machine
        {"Origin": PAGE, "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
    ids=lambda headers: " ".join(headers.values()),
)
def test_a_page_of_another_origin_changes_nothing(
    client: httpx.Client, database: Database, as_problem: AsProblem, headers: dict[str, str]
) -> None:
    assert client.post("/v1/queues/default/resume").status_code == 200
    job = client.post("/v1/jobs", json={"type": "test.job", "payload": {}}).json()

    for method, path in [
        ("POST", PAUSE),
        ("POST", job["links"]["cancel"]),
        ("POST", f"{job['links']['self']}/retry"),
        ("DELETE", job["links"]["self"]),
        ("PATCH", job["links"]["self"]),
        ("POST", "/v1/jobs"),
        ("POST", "/v1/files"),
    ]:
        said = as_problem(client.request(method, path, headers=headers), 403, "forbidden")["detail"]
        assert next(f"{name}: {value}" for name, value in headers.items()) in said
        assert "callboard keys create" in said
    assert client.get(job["links"]["self"]).json()["status"] == "queued"
    with database.begin() as connection:
        assert not any(row["paused"] for row in connection.execute(queues.select()).mappings())


def test_a_page_of_another_origin_reads_nothing(opened: Callable[..., Served], as_problem: AsProblem) -> None:
    for origins in [(), ("*",), ("https://console.example",)]:
        client = opened(cors_origins=origins).client
        as_problem(client.get("/v1/jobs", headers={"Origin": PAGE}), 403, "forbidden")
        as_problem(client.get("/v1/jobs", headers={"Sec-Fetch-Site": "cross-site"}), 403, "forbidden")


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {}], ids=["page", "address bar", "curl"]
)
def test_its_own_pages_and_other_programs_may(client: httpx.Client, headers: dict[str, str]) -> None:
    own = {**headers, "Origin": str(client.base_url).rstrip("/")} if headers else {}

    assert client.post("/v1/jobs", json={"type": "test.job", "payload": {}}, headers=own).status_code == 202
    assert client.get("/v1/jobs", headers=headers).status_code == 200


def test_a_link_of_another_page_may_be_followed(client: httpx.Client) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}

    assert client.get("/v1/jobs", headers=headers).status_code == 200


def test_pages_of_the_origins_in_the_settings_may(opened: Callable[..., Served]) -> None:
    client = opened(cors_origins=("http://localhost:5173",)).client
    headers = {"Origin": "http://localhost:5173", "Sec-Fetch-Site": "same-site"}

    answer = client.post("/v1/jobs", json={"type": "test.job", "payload": {}}, headers=headers)

    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (202, headers["Origin"])


def test_with_a_key_requests_may_come_from_everywhere(client: httpx.Client, database: Database) -> None:
    key = make_key(database)
    headers = {
        "Host": "callboard.example",
        "Origin": PAGE,
        "Sec-Fetch-Site": "cross-site",
        "X-Forwarded-For": "192.0.2.1",
    }

    until(lambda: client.get("/v1/jobs").status_code == 401, what="the key closes the server", within=OLDEST + 5)

    assert client.get("/v1/jobs", headers={**headers, **bearer(key)}).status_code == 200
    assert client.get("/v1/jobs", headers=headers).status_code == 401


def test_probes_answer_whoever_asks(client: httpx.Client) -> None:
    for path in ("/livez", "/readyz"):
        assert client.get(path, headers={"Host": "10.0.0.7:8000", "Via": "1.1 probe"}).status_code == 200
