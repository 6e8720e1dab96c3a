"""What jobs put out: from the handler's ``run.attach`` to the download, and its end."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from callboard.actors.execution.handler_run import HandlerRun
from callboard.actors.execution.interrupts import Interrupter, Interruption, JobInterrupted
from callboard.actors.execution.progress import Progress
from callboard.actors.execution.worker_services import WorkerServices
from callboard.db.errors import TooLarge
from callboard.db.files.storage import DirectoryStorage
from callboard.db.rules.states import Status
from callboard.db.sql.engine import Database
from callboard.db.transitions import ClaimedJob
from tests.support.factory import OUTCOMES, Factory
from tests.support.serving import Served

Attempt = Callable[[ClaimedJob], HandlerRun]


@pytest.fixture
def storage(tmp_path: Path) -> DirectoryStorage:
    """Where the api of these tests keeps files."""
    return DirectoryStorage(tmp_path / "files", max_bytes=1000)


@pytest.fixture
def job(factory: Factory) -> ClaimedJob:
    return factory.claim(factory.submit())


@pytest.fixture
def attempt(database: Database, storage: DirectoryStorage) -> Attempt:
    """What a worker hands to the handler."""
    return lambda job: run_of(job, Interrupter(), database, storage)


def run_of(job: ClaimedJob, stop: Interrupter, database: Database, storage: DirectoryStorage) -> HandlerRun:
    return HandlerRun(job, stop, Progress(job.attempt_id), WorkerServices(job, stop, database, storage))


def stored(storage: DirectoryStorage) -> set[str]:
    return {str(item.file_id) for item in storage.objects()}


def test_what_a_handler_attaches_is_listed_and_downloaded(
    api: Served, factory: Factory, job: ClaimedJob, attempt: Attempt, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    table.write_bytes(b"a,b\n1,2\n")
    run = attempt(job)
    ids = [
        run.attach(table),
        run.attach(b"{}", name="report.json"),
        run.attach((str(n).encode() for n in range(3)), name="../a\x00b", media_type="TEXT/Plain"),
        run.attach(b"", media_type="no\nmedia\ntype"),
    ]
    factory.end(job, OUTCOMES[Status.SUCCEEDED])

    page = api.get(f"/v1/jobs/{job.id}/files")
    assert page["next_page_token"] is None
    assert [item["id"] for item in page["items"]] == [str(file_id) for file_id in ids]
    assert [(item["name"], item["media_type"], item["size"]) for item in page["items"]] == [
        ("table.csv", "text/csv", 8),
        ("report.json", "application/json", 2),
        ("ab", "text/plain", 3),
        ("file", "application/octet-stream", 0),
    ]
    first = page["items"][0]
    assert first["sha256"] == hashlib.sha256(table.read_bytes()).hexdigest()
    assert first["attempt"] == 1
    assert set(first) == {"id", "name", "size", "sha256", "media_type", "created_at", "attempt"}
    answer = api.client.get(f"/v1/files/{ids[0]}")
    assert (answer.content, answer.headers["content-type"]) == (table.read_bytes(), "text/csv")
    assert api.client.get(f"/v1/files/{ids[2]}").content == b"012"


def test_outputs_come_in_pages(api: Served, job: ClaimedJob, attempt: Attempt) -> None:
    run = attempt(job)
    ids = [str(run.attach(b"", name=str(number))) for number in range(5)]
    got, token = [], None
    while True:
        page = api.get(f"/v1/jobs/{job.id}/files", page_size=2, **({} if token is None else {"page_token": token}))
        got.append([item["id"] for item in page["items"]])
        token = page["next_page_token"]
        if token is None:
            break

    assert got == [ids[:2], ids[2:4], ids[4:]]


def test_outputs_are_the_owners(api: Served, job: ClaimedJob, attempt: Attempt) -> None:
    file_id = attempt(job).attach(b"secret")
    for path in (f"/v1/jobs/{job.id}/files", f"/v1/files/{file_id}"):
        assert api.client.get(path, headers={"x-owner": job.owner, "x-role": "client"}).status_code == 200
        assert api.client.get(path, headers={"x-owner": "other", "x-role": "client"}).status_code == 404


def test_a_fenced_attempt_leaves_nothing(
    database: Database, storage: DirectoryStorage, factory: Factory, job: ClaimedJob
) -> None:
    interrupter = Interrupter()
    run = run_of(job, interrupter, database, storage)
    factory.end(job, OUTCOMES[Status.QUEUED])

    with pytest.raises(JobInterrupted):
        run.attach(b"late")
    assert interrupter.reason is Interruption.LEASE_LOST
    assert stored(storage) == set()


def test_attaching_stops_when_the_attempt_is_to_stop(
    database: Database, storage: DirectoryStorage, job: ClaimedJob
) -> None:
    interrupter = Interrupter()
    run = run_of(job, interrupter, database, storage)

    def endless() -> Iterator[bytes]:
        yield b"1"
        interrupter.interrupt(Interruption.CANCELLED)
        while True:
            yield b""

    with pytest.raises(JobInterrupted):
        run.attach(endless())
    assert stored(storage) == set()


def test_a_large_output_is_refused(storage: DirectoryStorage, job: ClaimedJob, attempt: Attempt) -> None:
    with pytest.raises(TooLarge):
        attempt(job).attach(bytes(1001))
    assert stored(storage) == set()


def test_what_a_later_attempt_supersedes_is_deleted(
    storage: DirectoryStorage, factory: Factory, job: ClaimedJob, attempt: Attempt
) -> None:
    attempt(job).attach(b"1")
    factory.end(job, OUTCOMES[Status.QUEUED])
    again = attempt(factory.claim(job.id, 2))
    kept = [again.attach(b"2"), again.attach(b"3")]

    assert stored(storage) == set(map(str, kept))


def test_outputs_outlive_a_consumed_result_and_go_with_their_job(
    api: Served, storage: DirectoryStorage, factory: Factory, job: ClaimedJob, attempt: Attempt
) -> None:
    file_id = str(attempt(job).attach(b"1"))
    factory.end(job, OUTCOMES[Status.SUCCEEDED])

    api.get(f"/v1/jobs/{job.id}/result", consume="true")
    assert [item["id"] for item in api.get(f"/v1/jobs/{job.id}/files")["items"]] == [file_id]
    assert api.client.delete(f"/v1/jobs/{job.id}").status_code == 204
    assert api.client.get(f"/v1/jobs/{job.id}/files").status_code == 404
    assert api.client.get(f"/v1/files/{file_id}").status_code == 404
    assert stored(storage) == set()
