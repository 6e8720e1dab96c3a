from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from db.ids import new_id
from tests.support.databases import Databases
from tests.support.servers import ALL

AsProblem = Callable[[httpx.Response, int, str], dict[str, Any]]

REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/v1/jobs", {"json": {"type": "test.job", "payload": {}}}),
    ("POST", "/v1/jobs/batch", {"json": {"jobs": [{"type": "test.job", "payload": {}}]}}),
    ("GET", f"/v1/jobs/{new_id()}", {}),
    ("GET", "/v1/jobs", {}),
    ("POST", f"/v1/jobs/{new_id()}/cancel", {}),
    ("GET", "/v1/queues", {}),
    ("GET", "/readyz", {}),
]


@pytest.fixture(params=["refuses", "is silent"])
def nobody(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database that is not there: connections are refused, or accepted and never answered."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        if request.param == "is silent":
            holder.listen(128)
        yield f"postgresql://nobody:pa55word@127.0.0.1:{holder.getsockname()[1]}/none"


def test_without_a_database_every_request_is_answered(serve: Any, nobody: str, as_problem: AsProblem) -> None:
    api = serve(database_url=SecretStr(nobody), connect_timeout=1, statement_timeout=2.0)
    for method, path, options in REQUESTS:
        begun = time.monotonic()
        answer = api.client.request(method, path, **options)
        body = as_problem(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert time.monotonic() - begun < 10
        assert "127.0.0.1" not in str(body)
        assert "pa55word" not in answer.text
    assert api.client.get("/livez").json() == {"status": "alive"}
    assert api.client.get("/v1/version").status_code == 200
    assert api.client.get("/v1/job-types").status_code == 200


def test_without_a_schema_the_server_is_not_ready(serve: Any, databases: Databases, as_problem: AsProblem) -> None:
    with databases.fresh(ALL[-1]) as url:
        api = serve(database_url=SecretStr(url))
        as_problem(api.client.get("/readyz"), 503, "unavailable")
        assert api.client.get("/livez").status_code == 200


def test_with_its_database_the_server_is_ready(client: httpx.Client) -> None:
    assert client.get("/readyz").json() == {"status": "ready"}


def test_a_server_that_stops_is_not_ready(api: Any, as_problem: AsProblem) -> None:
    api.app.state.services.waits._stopped = True
    as_problem(api.client.get("/readyz"), 503, "unavailable")
