"""``from callboard import Client, AsyncClient``, against a running server."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel, ValidationError

from callboard import AsyncClient, Client
from callboard.client import (
    Conflict,
    InvalidRequest,
    NotDone,
    NotFound,
    Problem,
    ResultErased,
    ServerUnreachable,
    Unsuccessful,
    WaitTimeout,
)
from callboard.client.transport import base_of, server_of
from callboard.db.errors import ConfigurationError
from tests.clients.proxy import LossyProxy
from tests.e2e.system import Embedded


class Echo(BaseModel):
    value: Any


class Digest(BaseModel):
    sha256: str
    bytes: int


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as client:
        yield client


def test_without_a_url_those_of_the_environment_are_taken(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_URL", url)
    with Client() as client:
        assert client.address == url
        client.queues()
    assert AsyncClient().address == url


def test_the_key_of_the_environment_is_for_its_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_URL", "https://jobs.example.com")
    monkeypatch.setenv("CALLBOARD_API_KEY", "cb_live_key")
    assert server_of(None, None) == (base_of("https://jobs.example.com"), "cb_live_key")
    assert server_of(None, "cb_live_other") == (base_of("https://jobs.example.com"), "cb_live_other")
    assert server_of("https://other.example.com", None) == (base_of("https://other.example.com"), None)


def test_submit_wait_result(client: Client) -> None:
    job = client.submit("diagnostics.echo", Echo(value=[1, {"two": None}]), priority=7, tags={"case": "1"})
    assert (job.type, job.priority, job.tags) == ("diagnostics.echo", 7, {"case": "1"})
    done = client.wait(job.id)
    assert (done.id, done.status, done.done) == (job.id, "succeeded", True)
    assert client.result(job.id) == done.result
    assert client.get(job.id, include_payload=True).payload == {"value": [1, {"two": None}]}


def test_a_result_is_what_its_type_says(client: Client) -> None:
    file = client.upload(io.BytesIO(b"abc"), name="abc.txt")
    digest = client.run("e2e.digest", {"file": file.id}, Digest)
    assert digest == Digest(sha256=hashlib.sha256(b"abc").hexdigest(), bytes=3)
    with pytest.raises(ValidationError):
        client.run("e2e.digest", {"file": file.id}, list[int])


def test_run_waits_longer_than_one_request_does(url: str) -> None:
    with Client(url, long_poll=0.2) as client:
        assert client.run("e2e.add", {"args": [1, 2]}, int) == 3
        with pytest.raises(WaitTimeout, match="goes on"):
            client.run("e2e.patient", {"attempt": 2}, timeout=0.5)
        [job] = list(client.jobs(type="e2e.patient", status=["queued", "running"]))
        client.cancel(job.id)
        assert client.wait(job.id).status == "cancelled"


def test_a_job_says_whether_it_was_there_before(client: Client) -> None:
    key = str(uuid4())
    first, again = (client.submit("e2e.noop", {}, delay=3600, idempotency_key=key) for _ in range(2))
    assert (first.existing, again.existing, again.id) == (False, True, first.id)
    unique = client.submit("e2e.noop", {}, delay=3600, unique_key=key)
    same = client.submit("e2e.noop", {}, delay=3600, unique_key=key)
    assert (unique.existing, same.existing, same.id) == (False, True, unique.id)
    for job in (first, unique):
        client.cancel(job.id)


def test_a_watch_goes_on_from_a_job_that_was_seen(client: Client) -> None:
    job = client.submit("e2e.noop", {}, delay=3600)
    assert job.etag is not None
    states = client.watch(job)
    assert next(states) is job
    client.cancel(job.id)
    assert [state.status for state in states] == ["cancelled"]


def test_attempts(client: Client) -> None:
    job = client.wait(client.submit("e2e.add", {"args": [1, -1]}, max_retries=0).id)
    [attempt] = client.attempts(job.id)
    assert (attempt.attempt, attempt.outcome, attempt.worker) == (1, "failed", job.worker)
    assert attempt.error is not None
    assert attempt.error.type == "ArithmeticError"


def test_pages_of_a_list(client: Client) -> None:
    tag = str(uuid4())
    ids = [client.submit("e2e.noop", {}, tags={"page": tag}).id for _ in range(3)]
    first = client.jobs_page(tags={"page": tag}, page_size=2)
    assert [job.id for job in first.items] == ids[:0:-1]
    assert first.next_page_token is not None
    last = client.jobs_page(tags={"page": tag}, page_size=2, page_token=first.next_page_token)
    assert ([job.id for job in last.items], last.next_page_token) == (ids[:1], None)


def test_the_system(client: Client) -> None:
    client.check_ready()
    job = client.wait(client.submit("e2e.add", {"args": [1]}).id)
    assert job.queue in {queue.name for queue in client.queues()}
    assert job.worker in {worker.name for worker in client.workers()}
    described = client.job_type("e2e.add")
    assert (described.name, described.queue) == ("e2e.add", job.queue)
    with pytest.raises(NotFound):
        client.job_type("e2e.nope")


def test_history_in_numbers(client: Client) -> None:
    with pytest.raises(Unsuccessful):
        client.run("e2e.add", {"args": [1, -1]})
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    found = client.failures(since=hour_ago, type="e2e.add")
    [group, *_] = [item for item in found.items if item.error.type == "ArithmeticError"]
    assert (group.type, found.complete) == ("e2e.add", True)
    summary = client.summarise_history(since=hour_ago, group_by="type", bucket="hour")
    assert summary.since <= hour_ago < summary.until
    assert client.summarise_history(until=hour_ago, owner="nobody").items == []
    with pytest.raises(ValueError, match=r"since is .* without a time zone"):
        client.failures(since=datetime(2030, 1, 1))  # noqa: DTZ001 - the mistake that is made


def test_history_as_a_file(client: Client, tmp_path: Path) -> None:
    tag = str(uuid4())
    ids = [client.wait(client.submit("e2e.add", {"args": [1]}, tags={"export": tag}).id).id for _ in range(2)]
    path = tmp_path / "jobs.ndjson"
    client.export_history(path, tags={"export": tag})
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == [str(job_id) for job_id in ids]
    rest = io.BytesIO()
    client.export_history(rest, tags={"export": tag}, format="csv", cursor=ids[0], include=["result"])
    assert rest.getvalue().decode().startswith(str(ids[1]))
    client.export_history(path, tags={"export": tag}, format="parquet")
    assert path.read_bytes()[:4] == b"PAR1"
    with pytest.raises(InvalidRequest):
        client.export_history(path, format="odd")
    assert path.read_bytes()[:4] == b"PAR1"


def test_a_job_that_fails(client: Client) -> None:
    with pytest.raises(Unsuccessful) as failed:
        client.run("e2e.add", {"args": [1, -1]})
    assert failed.value.error is not None
    assert failed.value.error["type"] == "ArithmeticError"
    assert (failed.value.code, failed.value.status) == ("unsuccessful", 409)
    [job, *_] = client.jobs(type="e2e.add", status="failed")
    assert client.retry(job.id).status == "queued"
    assert client.wait(job.id).status == "failed"


def test_watch_yields_each_state_to_the_end(client: Client) -> None:
    job = client.submit("diagnostics.sleep", {"seconds": 1.5, "steps": 3})
    states = list(client.watch(job.id))
    assert [state.id for state in states] == [job.id] * len(states)
    assert [state.done for state in states] == [False] * (len(states) - 1) + [True]
    assert "running" in [state.status for state in states]
    percents = [state.progress.percent or 0.0 for state in states if state.progress]
    assert len(set(percents)) > 1
    assert percents == sorted(percents)


def test_cancel_and_delete(client: Client) -> None:
    job = client.submit("e2e.noop", {}, delay=timedelta(hours=1))
    assert job.status == "scheduled"
    with pytest.raises(NotDone):
        client.result(job.id)
    with pytest.raises(Conflict):
        client.delete(job.id)
    assert client.cancel(str(job.id)).status == "cancelled"
    client.delete(job.id)
    with pytest.raises(NotFound):
        client.get(job.id)


def test_a_batch_is_all_or_nothing(client: Client) -> None:
    key = f"batch {uuid4()}"
    moment = datetime.now(UTC) + timedelta(hours=1)
    new = [{"type": "e2e.noop", "payload": {}, "scheduled_at": moment, "tags": {"batch": key}} for _ in range(5)]
    ids = client.submit_batch(new)  # type: ignore[arg-type]
    assert len({*ids}) == 5
    assert {job.id for job in client.jobs(tags={"batch": key}, page_size=2)} == set(ids)
    with pytest.raises(InvalidRequest) as refused:
        client.submit_batch([{"type": "e2e.noop", "payload": {}}, {"type": "e2e.nope", "payload": {}}])
    assert [error.pointer for error in refused.value.errors] == ["/jobs/1/type"]
    for job_id in ids:
        client.cancel(job_id)


def test_a_consumed_result_is_gone(client: Client) -> None:
    job = client.wait(client.submit("e2e.add", {"args": [1]}).id)
    assert client.result(job.id, int, consume=True) == 1
    with pytest.raises(ResultErased):
        client.result(job.id)


def test_files(client: Client, tmp_path: Path) -> None:
    content = os.urandom(3 * 2**20)
    path = tmp_path / "grün.bin"
    path.write_bytes(content)
    stored = client.upload(path)
    assert (stored.name, stored.size, stored.sha256) == ("grün.bin", len(content), hashlib.sha256(content).hexdigest())
    client.download(stored.id, tmp_path / "copy.bin")
    assert (tmp_path / "copy.bin").read_bytes() == content
    opened = io.BytesIO()
    client.download(stored.id, opened)
    assert opened.getvalue() == content


def test_a_download_that_fails_leaves_what_was_there(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("as before")
    with pytest.raises(NotFound):
        client.download(uuid4(), path)
    assert [(item.name, item.read_text()) for item in tmp_path.iterdir()] == [("precious", "as before")]


def test_what_does_not_fit_is_told(client: Client) -> None:
    with pytest.raises(InvalidRequest) as refused:
        client.submit("diagnostics.sleep", {"seconds": -1})
    [error] = refused.value.errors
    assert (error.pointer, refused.value.code) == ("/payload/seconds", "invalid-input")
    with pytest.raises(ValueError, match="without a time zone"):
        client.submit("e2e.noop", {}, scheduled_at=datetime(2030, 1, 1))  # noqa: DTZ001 - the mistake that is made


def test_a_lost_response_makes_no_second_job(system: Embedded) -> None:
    tag = str(uuid4())
    with LossyProxy(system.port, losses=2) as proxy, Client(proxy.url) as client:
        job = client.submit("e2e.noop", {}, tags={"once": tag})
        assert proxy.lost == 2
        assert [found.id for found in client.jobs(tags={"once": tag})] == [job.id]


def test_what_must_not_be_sent_twice_is_not(system: Embedded, client: Client) -> None:
    job = client.wait(client.submit("e2e.add", {"args": [1]}).id)
    with LossyProxy(system.port, losses=1) as proxy, Client(proxy.url) as far, pytest.raises(ServerUnreachable) as lost:
        far.result(job.id, consume=True)
    assert lost.value.sent


def test_no_server() -> None:
    with LossyProxy(0, losses=0) as proxy:
        nobody = proxy.url
    with Client(nobody, retry_for=0) as client, pytest.raises(ServerUnreachable, match=nobody) as refused:
        client.submit("e2e.noop", {})
    assert not refused.value.sent


@pytest.mark.parametrize(
    "url", ["ftp://me:secret@host", "http://me:secret@", "http://me:secret@a..b", "me:secret@host"]
)
def test_a_url_of_no_server_is_refused_and_not_told(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Client(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["http://[::1]:8000", "https://bücher.example/jobs", "http://a_b"])
def test_a_url_of_a_server(url: str) -> None:
    with Client(url) as client:
        assert client.address.startswith(url[:8])


def test_a_key_that_cannot_be_sent_is_not_told() -> None:
    for key in ("secret\n", "secrét", "secret ", " ", ""):
        with pytest.raises(ConfigurationError) as refused:
            Client(api_key=key)
        assert "secr" not in str(refused.value)


def test_a_password_in_the_url_is_not_told() -> None:
    with Client("http://me:secret@127.0.0.1:9") as client:
        assert "secret" not in client.address


def test_a_server_that_is_none(client: Client) -> None:
    with Client(f"{client.address}/elsewhere") as lost, pytest.raises(Problem) as refused:
        lost.get(uuid4())
    assert refused.value.status == 404


def test_the_client_is_loaded_when_it_is_asked_for() -> None:
    code = (
        "import sys, callboard; assert 'httpx' not in sys.modules; callboard.Client; "
        "print(*{'fastapi', 'sqlalchemy', 'psycopg', 'dramatiq'} & {*sys.modules})"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []


# --- asyncio ----------------------------------------------------------------------------------------------------------


def test_the_async_client_does_the_same(url: str, tmp_path: Path) -> None:
    async def all_of_it() -> None:
        async with AsyncClient(url) as client:
            numbers = await asyncio.gather(*(client.run("e2e.add", {"args": [n, 1]}, int) for n in range(5)))
            assert numbers == [1, 2, 3, 4, 5]
            job = await client.submit("diagnostics.sleep", {"seconds": 0.5, "steps": 2})
            states = [state async for state in client.watch(job.id)]
            assert (states[0].id, states[-1].status) == (job.id, "succeeded")
            assert (await client.wait(job.id)).done
            listed = [found.id async for found in client.jobs(type="diagnostics.sleep", page_size=1)]
            assert job.id in listed
            assert [state async for state in client.watch(states[-1])] == states[-1:]
            page = await client.jobs_page(type="diagnostics.sleep", page_size=1)
            assert len(page.items) == 1
            assert [attempt.outcome for attempt in await client.attempts(job.id)] == ["succeeded"]
            await client.check_ready()
            assert (await client.job_type(job.type)).queue == job.queue
            assert job.queue in {queue.name for queue in await client.queues()}
            assert states[-1].worker in {worker.name for worker in await client.workers()}
            assert (await client.summarise_history(owner="nobody")).items == []
            assert (await client.failures(owner="nobody")).items == []
            await client.export_history(tmp_path / "jobs.csv", type="e2e.add", format="csv")
            assert (tmp_path / "jobs.csv").read_text().startswith("id,")
            stored = await client.upload(io.BytesIO(b"abc"), name="abc.txt")
            await client.download(stored.id, tmp_path / "abc.txt")
            assert (tmp_path / "abc.txt").read_bytes() == b"abc"
            later = await client.submit_batch([{"type": "e2e.noop", "payload": {}, "delay": 3600.0}])
            assert (await client.cancel(later[0])).status == "cancelled"
            assert (await client.retry(later[0])).id == later[0]
            await client.wait(later[0])
            await client.delete(later[0])
            with pytest.raises(NotFound):
                await client.get(later[0])
            with pytest.raises(Unsuccessful):
                await client.run("e2e.add", {"args": [1, -1]})

    asyncio.run(all_of_it())


def test_the_async_client_also_sends_again(system: Embedded) -> None:
    async def submit(url: str, tag: str) -> tuple[UUID, list[UUID]]:
        async with AsyncClient(url) as client:
            job = await client.submit("e2e.noop", {}, tags={"once": tag})
            return job.id, [found.id async for found in client.jobs(tags={"once": tag})]

    with LossyProxy(system.port, losses=1) as proxy:
        job_id, found = asyncio.run(submit(proxy.url, str(uuid4())))
    assert found == [job_id]


def test_both_clients_know_the_same() -> None:
    def public(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in vars(kind).items()
            if not name.startswith("_") or name == "__init__"
        }

    assert public(Client) == public(AsyncClient)


def test_the_page_of_the_clients_has_every_method() -> None:
    page = (Path(__file__).parents[2] / "docs" / "clients.md").read_text(encoding="utf-8")
    methods = {name for name, value in vars(Client).items() if callable(value) and not name.startswith("_")}
    assert [name for name in methods - {"close"} if f"`{name}(" not in page] == []
