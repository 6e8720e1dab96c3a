"""One Idempotency-Key makes one job, however often it is sent, and to whichever api process."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import orjson
import psycopg
import pytest
from sqlalchemy import func, select

from callboard.db.models import jobs
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.db.transitions import IdempotencyKey, SubmissionRequest, submit
from tests.support.api_process import ApiProcess, api_process
from tests.support.databases import Databases, settings_of
from tests.support.factory import Factory
from tests.support.servers import ALL
from tests.support.serving import Served
from tests.support.threads import together
from tests.support.until import until

pytestmark = pytest.mark.faults

JOB = {"type": "diagnostics.echo", "payload": {"value": 1}}
AT_ONCE = 200


@pytest.fixture(scope="module")
def two_apis(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ApiProcess]]:
    """Two api processes on one database, for all of this module."""
    settings = settings_of(databases.emptied(ALL[-1]))
    with ExitStack() as stack:
        yield [stack.enter_context(api_process(settings, tmp_path_factory.mktemp("api"))) for _ in range(2)]


@pytest.fixture
def apis(two_apis: list[ApiProcess], settings: Settings) -> list[ApiProcess]:
    return two_apis


def count(database: Database) -> int:
    with database.begin() as connection:
        return connection.execute(select(func.count()).select_from(jobs)).scalar_one()


def all_at_once(apis: list[ApiProcess], **request: Any) -> list[httpx.Response]:
    with ExitStack() as stack:
        limits = httpx.Limits(max_connections=None)
        clients = [
            stack.enter_context(httpx.Client(base_url=api.client.base_url, timeout=60, limits=limits)) for api in apis
        ]
        turns = itertools.islice(itertools.cycle(clients), AT_ONCE)
        return together(*(lambda client=client: client.post("/v1/jobs", **request) for client in turns))


def test_one_idempotency_key_makes_one_job(apis: list[ApiProcess], database: Database) -> None:
    answers = all_at_once(apis, json=JOB, headers={"Idempotency-Key": "once"})
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    replayed = Counter(answer.headers.get("idempotency-replayed") for answer in answers)
    assert replayed == {None: 1, "true": AT_ONCE - 1}
    assert count(database) == 1


def test_a_key_in_flight_is_a_conflict_until_it_is_settled(
    apis: list[ApiProcess], database: Database, factory: Factory
) -> None:
    headers = {"Idempotency-Key": "in-flight", "Content-Type": "application/json"}
    body = orjson.dumps(JOB)
    request_hash = hashlib.sha256(b"/v1/jobs\n" + body).digest()
    elsewhere = SubmissionRequest([factory.new_job()], IdempotencyKey("local", "in-flight", request_hash, 3600.0))
    with database.begin() as connection:
        [submission] = submit(connection, [elsewhere])
        answers = together(
            *(lambda api=api: api.client.post("/v1/jobs", content=body, headers=headers) for api in apis)
        )
        other = apis[0].client.post("/v1/jobs", json=JOB, headers={"Idempotency-Key": "other"})
    assert other.status_code == 202
    assert [(answer.status_code, answer.json()["code"], answer.headers["retry-after"]) for answer in answers] == [
        (409, "idempotency-key-in-flight", "1")
    ] * 2
    settled = apis[0].client.post("/v1/jobs", content=body, headers=headers)
    assert settled.status_code == 202
    assert settled.json()["id"] == str(submission.job_ids[0])


def test_one_unique_key_makes_one_job(apis: list[ApiProcess], database: Database) -> None:
    answers = all_at_once(apis, json={**JOB, "unique_key": "once"})
    assert Counter(answer.status_code for answer in answers) == {202: 1, 200: AT_ONCE - 1}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert count(database) == 1


def test_clients_that_try_again_after_a_crash_make_no_job_twice(
    apis: list[ApiProcess], settings: Settings, database: Database, tmp_path: Path
) -> None:
    keys = [f"key-{number}" for number in range(60)]
    with api_process(settings, tmp_path) as doomed, ExitStack() as stack:
        clients = [
            stack.enter_context(httpx.Client(base_url=api.client.base_url, timeout=30)) for api in (doomed, apis[0])
        ]

        def submit(key: str) -> set[str]:
            ids = set()
            for client in (*clients, *clients):
                try:
                    answer = client.post("/v1/jobs", json=JOB, headers={"Idempotency-Key": key})
                except httpx.TransportError:
                    continue
                assert answer.status_code == 202, answer.text
                ids.add(answer.json()["id"])
                if key == keys[20]:
                    doomed.process.kill()
            return ids

        with ThreadPoolExecutor(16) as pool:
            made = list(pool.map(submit, keys))
        assert doomed.process.wait(10) == -9
    assert all(len(ids) == 1 for ids in made)
    assert count(database) == len(keys)


def test_a_key_whose_request_died_is_free_again(api: Served, settings: Settings, database: Database) -> None:
    """A process is killed between taking the key and committing the job: its connection ends."""
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url.get_secret_value()) as dead:
        dead.execute(
            "INSERT INTO callboard.idempotency_keys (owner, key, job_ids, request_hash, expires_at)"
            " VALUES ('owner', 'once', '{}', '', now() + interval '1 day')"
        )
        with ThreadPoolExecutor(1) as pool:
            sent = {"json": {"type": "test.job", "payload": {}}, "headers": {"Idempotency-Key": "once"}}
            waiting = pool.submit(lambda: api.client.post("/v1/jobs", **sent))  # type: ignore[arg-type]
            _wait_for_a_lock(database)
            dead.close()
            answer = waiting.result(20)
    assert answer.status_code == 202
    assert "idempotency-replayed" not in answer.headers
    assert count(database) == 1


def _wait_for_a_lock(database: Database) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with database.autocommit() as connection:
        until(lambda: connection.exec_driver_sql(waiting).scalar_one(), what="a statement waits for a lock")
