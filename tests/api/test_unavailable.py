"""Outages of the database: every operation responds in time, and recovers by itself."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from callboard.db.rules.ids import new_id
from callboard.db.schema.migrate import migrate
from callboard.embedded.postgres import EmbeddedPostgres
from tests.support.databases import Databases, settings_of
from tests.support.servers import ALL
from tests.support.serving import Served
from tests.support.until import until

pytestmark = pytest.mark.faults

AsProblem = Callable[[httpx.Response, int, str], dict[str, Any]]
Serve = Callable[..., Served]

#: Operations that need no database; all others, new ones too, must respond with 503 without it.
WITHOUT_DATABASE = {
    "getIndex",
    "makeStreamTicket",
    "live",
    "explainProblem",
    "getVersion",
    "getMetrics",
    "listJobTypes",
    "getJobType",
}
IN_PATHS = {
    "explainProblem": {"code": "unavailable"},
    "getJobType": {"name": "test.job"},
    "configureQueue": {"name": "default"},
    "pauseQueue": {"name": "default"},
    "resumeQueue": {"name": "default"},
    "runJob": {"job_type": "test.job"},
}
BODIES: dict[str, Any] = {
    "submitJob": {"type": "test.job", "payload": {}},
    "submitBatch": {"jobs": [{"type": "test.job", "payload": {}}]},
    "amendJob": {"priority": 1},
    "configureQueue": {"dispatch_window": 10},
    "makeStreamTicket": {"url": "/v1/jobs/stream"},
    "bulkJobs": {"action": "cancel", "filter": {"type": "test.job"}},
}
#: Seconds that a request may take with the settings below, on a slow machine.
BOUND = 15
QUICK = {"connect_timeout": 1, "statement_timeout": 1.0}


@dataclass(frozen=True)
class Operation:
    name: str
    method: str
    path: str
    options: dict[str, Any]

    def ask(self, client: httpx.Client) -> httpx.Response:
        begun = time.monotonic()
        answer = client.request(self.method, self.path, **self.options)
        assert time.monotonic() - begun < BOUND, self.name
        return answer


def operations(api: Served) -> list[Operation]:
    """Return one valid request for each operation of the OpenAPI document."""
    found = []
    for template, methods in api.get("/openapi.json")["paths"].items():
        for method, description in methods.items():
            name = description["operationId"]
            needed = [each["name"] for each in description.get("parameters", ()) if each["in"] == "path"]
            values = {key: str(new_id()) for key in needed} | IN_PATHS.get(name, {})
            options: dict[str, Any] = {}
            content = description.get("requestBody", {}).get("content", {})
            if "multipart/form-data" in content:
                options["files"] = {"file": ("a.txt", b"abc")}
            elif content:
                options["json"] = BODIES.get(name, {})
            found.append(Operation(name, method.upper(), template.format(**values), options))
    assert len(found) > 25
    return found


def all_at_once(api: Served, wanted: list[Operation]) -> dict[str, httpx.Response]:
    limits = httpx.Limits(max_connections=None)
    with (
        httpx.Client(base_url=api.url, timeout=60, limits=limits) as client,
        ThreadPoolExecutor(len(wanted)) as pool,
    ):
        answers = pool.map(lambda operation: operation.ask(client), wanted)
        return {operation.name: answer for operation, answer in zip(wanted, answers, strict=True)}


def assert_out_of_service(api: Served, as_problem: AsProblem) -> None:
    wanted = operations(api)
    needy = [each for each in wanted if each.name not in WITHOUT_DATABASE]
    for name, answer in all_at_once(api, needy).items():
        assert answer.status_code == 503, f"{name}: {answer.status_code} {answer.text}"
        body = as_problem(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert "127.0.0.1" not in str(body)
        assert "pa55word" not in answer.text
        assert "Traceback" not in answer.text
    for operation in wanted:
        if operation.name in WITHOUT_DATABASE:
            assert operation.ask(api.client).status_code in {200, 201}, operation.name


def assert_recovers(api: Served) -> None:
    until(lambda: api.client.get("/readyz").status_code == 200, what="the api is ready", every=0.05)
    until(
        lambda: api.client.post("/v1/jobs", json=BODIES["submitJob"]).status_code == 202,
        what="a submission is accepted",
        every=0.05,
    )
    # These two would go on: no worker runs the job, and the stream never ends.
    wanted = [each for each in operations(api) if each.name not in {"runJob", "streamJobs"}]
    for name, answer in all_at_once(api, wanted).items():
        assert answer.status_code < 500, f"{name}: {answer.text}"


@pytest.fixture(params=["refuses", "is silent"])
def nobody(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a server that is not there: connections are refused, or accepted without any response."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        if request.param == "is silent":
            holder.listen(128)
        yield f"postgresql://nobody:pa55word@127.0.0.1:{holder.getsockname()[1]}/none"


def test_without_a_database_every_operation_answers(serve: Serve, nobody: str, as_problem: AsProblem) -> None:
    assert_out_of_service(serve(database_url=SecretStr(nobody), **QUICK), as_problem)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of this module's own, with a migrated database."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), durable=False) as server:
        url = server.ensure_running()
        migrate(settings_of(url))
        yield server


@contextmanager
def stopped(server: EmbeddedPostgres) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def frozen(server: EmbeddedPostgres) -> Iterator[None]:
    """Every process of the server is suspended: connections stay open and silent."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)  # first: from now on it starts no others
    processes = [*_children(server.pid), server.pid]
    try:
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in processes:
            os.kill(pid, signal.SIGCONT)


def _children(parent: int) -> list[int]:
    children = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:  # ended meanwhile
            continue
        if int(fields[1]) == parent:
            children.append(int(status.parent.name))
    return children


@contextmanager
def crowded(server: EmbeddedPostgres) -> Iterator[None]:
    """All connections that the server allows are in use."""
    url = server.ensure_running()
    with ExitStack() as stack:
        _end_other_sessions(stack.enter_context(psycopg.connect(url, autocommit=True)))
        with suppress(psycopg.OperationalError):  # too many clients
            while True:
                stack.enter_context(psycopg.connect(url))
        yield


@contextmanager
def read_only(server: EmbeddedPostgres) -> Iterator[None]:
    """New sessions are read-only, as on a standby, and stay so for as long as they live."""
    url = server.ensure_running()
    with psycopg.connect(url, autocommit=True) as connection:
        alter = sql.SQL("ALTER DATABASE {} ").format(sql.Identifier(connection.info.dbname))
        connection.execute(alter + sql.SQL("SET default_transaction_read_only = on"))
        _end_other_sessions(connection)
        try:
            yield
        finally:
            connection.execute(alter + sql.SQL("RESET default_transaction_read_only"))


def _end_other_sessions(connection: psycopg.Connection[Any]) -> None:
    connection.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )


@pytest.mark.parametrize("outage", [stopped, frozen, crowded])
def test_while_its_database_is_away_every_operation_answers_and_then_works_again(
    serve: Serve,
    server: EmbeddedPostgres,
    as_problem: AsProblem,
    outage: Callable[[EmbeddedPostgres], AbstractContextManager[None]],
) -> None:
    api = serve(database_url=SecretStr(server.ensure_running()), **QUICK)
    api.submit()
    with outage(server):
        assert_out_of_service(api, as_problem)
    assert_recovers(api)


def test_on_a_standby_what_writes_is_unavailable_until_there_is_a_primary_again(
    serve: Serve, server: EmbeddedPostgres, as_problem: AsProblem
) -> None:
    api = serve(database_url=SecretStr(server.ensure_running()), **QUICK)
    job = api.submit()
    with read_only(server):
        answers = all_at_once(api, [each for each in operations(api) if each.name != "streamJobs"])
        for name in ("submitJob", "submitBatch", "runJob", "uploadFile", "pauseQueue", "configureQueue"):
            as_problem(answers[name], 503, "unavailable")
        assert {name: answer.text for name, answer in answers.items() if answer.status_code == 500} == {}
        as_problem(api.client.post(f"/v1/jobs/{job['id']}/cancel"), 503, "unavailable")
        assert api.get(f"/v1/jobs/{job['id']}") == job
    assert_recovers(api)


def test_without_a_schema_the_server_is_not_ready(serve: Serve, databases: Databases, as_problem: AsProblem) -> None:
    with databases.fresh(ALL[-1]) as url:
        api = serve(database_url=SecretStr(url))
        as_problem(api.client.get("/readyz"), 503, "unavailable")
        assert api.client.get("/livez").status_code == 200


def test_with_its_database_the_server_is_ready(client: httpx.Client) -> None:
    assert client.get("/readyz").json() == {"status": "ready"}


def test_a_server_that_stops_is_not_ready(api: Served, as_problem: AsProblem) -> None:
    assert api.client.get("/readyz").is_success  # it has started
    api.app.state.services.waiters._stopped = True
    as_problem(api.client.get("/readyz"), 503, "unavailable")
