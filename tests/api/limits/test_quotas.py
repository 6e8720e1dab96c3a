"""Over a limit: 429, Retry-After, RateLimit and RateLimit-Policy."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from callboard.actors.types.registry import Registry
from callboard.api.app import create_app
from callboard.api.auth.caller import Caller, local_admin
from callboard.api.authenticator import Authenticator
from callboard.api.database.threads import DatabaseThreads
from callboard.api.limits.live_jobs import LiveJobs
from callboard.api.limits.token_grants import TokenGrants
from callboard.db.dispatching.rate_limits import Grant, Rate, delete_full_buckets, granted, take_tokens
from callboard.db.errors import Unavailable
from callboard.db.models import jobs, rate_limits
from callboard.db.rules.roles import Role
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from tests.support.keys import bearer, make_key
from tests.support.serving import serving
from tests.support.threads import together

AsProblem = Callable[[httpx.Response, int, str], dict[str, Any]]
Serve = Callable[..., httpx.Client]
JOB = {"type": "test.job", "payload": {}}


@pytest.fixture
def secured(settings: Settings, registry: Registry, tmp_path: Path) -> Iterator[Serve]:
    """Serve the API as an api process does; once more for each call."""
    with ExitStack() as stack:

        def secured(**changes: Any) -> httpx.Client:
            changed = settings.model_copy(update={"files_url": (tmp_path / "files").as_uri(), **changes})
            app = create_app(changed, registry, authenticate=Authenticator(local=True))
            return stack.enter_context(serving(app)).client

        yield secured


def submit(client: httpx.Client, key: str, count: int = 1) -> httpx.Response:
    if count == 1:
        return client.post("/v1/jobs", json=JOB, headers=bearer(key))
    return client.post("/v1/jobs/batch", json={"jobs": [JOB] * count}, headers=bearer(key))


def live(database: Database) -> int:
    with database.begin() as connection:
        return connection.execute(select(func.count()).select_from(jobs)).scalar_one()


# --- submissions per second ---------------------------------------------------------------------------------------


@given(
    st.floats(-1000, 1000),
    st.floats(0.001, 1000),
    st.integers(1, 10_000),
    st.integers(0, 1000),
)
def test_a_bucket_gives_what_it_has_or_nothing(available: float, rate: float, least: int, more: int) -> None:
    bucket = Rate(rate)
    available = min(available, bucket.capacity)

    grant = granted(available, bucket, least=least, most=least + more)

    if grant.tokens:
        assert least <= grant.tokens <= least + more
        assert grant.retry_after == 0
        assert grant.tokens <= available or (grant.tokens == least and available >= min(least, bucket.capacity))
    else:
        # It is true: after that time there is enough.
        assert grant.retry_after > 0
        later = min(bucket.capacity, available + grant.retry_after * rate) + 1e-6
        assert granted(later, bucket, least=least, most=least).tokens == least


def test_many_who_take_at_once_get_no_more_than_there_is(database: Database) -> None:
    rate = Rate(50.0)
    taken: list[int] = []
    begun = time.monotonic()

    def take() -> None:
        for _ in range(40):
            with database.begin() as connection:
                taken.append(take_tokens(connection, "it", rate, least=1, most=1).tokens)

    together(*[take] * 4)

    assert 50 <= sum(taken) <= 50 + 50 * (time.monotonic() - begun)


def test_a_full_bucket_is_forgotten(database: Database) -> None:
    with database.begin() as connection:
        for name in ("old", "new"):
            take_tokens(connection, name, Rate(1.0), least=1, most=1)
        old = func.now() - timedelta(days=2)
        connection.execute(update(rate_limits).where(rate_limits.c.name == "old").values(refilled_at=old))
        assert delete_full_buckets(connection) == 1
        assert connection.execute(select(rate_limits.c.name)).scalars().all() == ["new"]


def test_processes_share_a_rate_and_seldom_ask_for_it(settings: Settings) -> None:
    """Two processes' leases, as busy as they can be, on one bucket."""
    rate = Rate(500.0)
    seconds = 1.5
    calls: list[Grant] = []

    async def process(database: Database) -> int:
        threads = DatabaseThreads(database, connections=1, timeout=10.0)

        async def take(name: str, rate: Rate, least: int, most: int) -> Grant:
            grant = await threads.run(lambda connection: take_tokens(connection, name, rate, least=least, most=most))
            calls.append(grant)
            return grant

        grants = TokenGrants(take)
        done = 0
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds

        async def client() -> None:
            nonlocal done
            while loop.time() < end:
                if wait := await grants.spend("it", rate, 1):
                    await asyncio.sleep(min(wait, end - loop.time()))
                else:
                    done += 1
                    await asyncio.sleep(0)

        await asyncio.gather(*[client() for _ in range(20)])
        threads.close()
        return done

    databases = [Database(settings, role="api") for _ in range(2)]
    begun = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        done = sum(pool.map(lambda database: asyncio.run(process(database)), databases))
    elapsed = time.monotonic() - begun
    for database in databases:
        database.close()

    assert 500 + 500 * seconds * 0.5 <= done <= 500 + 500 * elapsed
    # Far fewer statements than submissions: those for what the full bucket held, and then one in each pause at most.
    assert len(calls) <= 500 / 50 + 2 * (elapsed / 0.05 + 2)


def test_two_servers_let_through_what_one_would(secured: Serve, database: Database, as_problem: AsProblem) -> None:
    key = make_key(database, submissions_per_second=10.0)
    clients = [secured(), secured()]
    begun = time.monotonic()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: submit(clients[number % 2], key), range(120)))

    elapsed = time.monotonic() - begun
    accepted = [answer for answer in answers if answer.status_code == 202]
    assert 10 <= len(accepted) <= 10 + 10 * elapsed
    assert live(database) == len(accepted)
    refused = next(answer for answer in answers if answer.status_code != 202)
    assert "10 jobs" in as_problem(refused, 429, "quota-exceeded")["detail"]
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["ratelimit"] == '"submissions";r=0;t=1'
    assert refused.headers["ratelimit-policy"] == '"submissions";q=10;w=1, "live-jobs";q=100000'


def test_after_retry_after_a_submission_succeeds(secured: Serve, database: Database) -> None:
    key = make_key(database, submissions_per_second=1.0)
    client = secured()
    assert submit(client, key).status_code == 202
    refused = submit(client, key)
    assert refused.status_code == 429

    time.sleep(float(refused.headers["retry-after"]))

    assert submit(client, key).status_code == 202


def test_a_batch_counts_by_its_jobs(secured: Serve, database: Database) -> None:
    key = make_key(database, submissions_per_second=4.0)
    client = secured()

    # More than a full bucket holds: let through from a full one, which is in debt then.
    assert submit(client, key, 20).status_code == 202
    refused = submit(client, key)

    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) in {4, 5}
    assert live(database) == 20


def test_another_key_has_a_bucket_of_its_own(secured: Serve, database: Database) -> None:
    keys = [make_key(database, owner, submissions_per_second=0.01) for owner in ("ann", "bob")]
    client = secured()

    assert [submit(client, key).status_code for key in keys * 2] == [202, 202, 429, 429]
    assert client.get("/v1/jobs", headers=bearer(keys[0])).status_code == 200


def test_the_settings_limit_keys_that_do_not_say(secured: Serve, database: Database) -> None:
    client = secured(submissions_per_second=0.01, max_live_jobs=2)
    plain, own = make_key(database, "ann"), make_key(database, "bob", submissions_per_second=100.0, max_live_jobs=9)

    assert [submit(client, plain).status_code for _ in range(2)] == [202, 429]
    assert [submit(client, own).status_code for _ in range(4)] == [202] * 4


def test_without_limits_nothing_is_counted(secured: Serve, database: Database) -> None:
    key = make_key(database)
    client = secured()

    assert {submit(client, key).status_code for _ in range(5)} == {202}
    with database.begin() as connection:
        assert connection.execute(select(func.count()).select_from(rate_limits)).scalar_one() == 0


# --- live jobs ----------------------------------------------------------------------------------------------------


def test_live_jobs_are_limited(secured: Serve, database: Database, as_problem: AsProblem) -> None:
    key = make_key(database, max_live_jobs=3)
    client = secured()
    made = [submit(client, key) for _ in range(3)]
    assert [answer.status_code for answer in made] == [202] * 3

    refused = submit(client, key)

    as_problem(refused, 429, "quota-exceeded")
    assert refused.headers["retry-after"] == "5"
    assert refused.headers["ratelimit"] == '"live-jobs";r=0;t=5'
    assert refused.headers["ratelimit-policy"] == '"live-jobs";q=3'
    assert client.post(f"/v1/jobs/{made[0].json()['id']}/cancel", headers=bearer(key)).status_code == 202
    assert submit(client, key).status_code == 202
    assert submit(client, key).status_code == 429
    assert submit(client, make_key(database, "bob", max_live_jobs=1)).status_code == 202


def test_a_batch_that_would_never_fit_says_so(secured: Serve, database: Database, as_problem: AsProblem) -> None:
    key = make_key(database, max_live_jobs=3)
    client = secured()

    assert "cannot be submitted together" in as_problem(submit(client, key, 4), 429, "quota-exceeded")["detail"]
    assert submit(client, key, 3).status_code == 202


def test_requests_at_once_do_not_exceed_the_limit(secured: Serve, database: Database) -> None:
    key = make_key(database, max_live_jobs=10)
    client = secured()
    gate = threading.Barrier(16)

    def one(_: int) -> int:
        gate.wait()
        return submit(client, key).status_code

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(one, range(48)))

    assert set(statuses) <= {202, 429}
    assert statuses.count(202) == live(database) <= 10
    # What was refused for being unsure fits afterwards.
    while submit(client, key).status_code == 202:
        pass
    assert live(database) == 10


def test_far_from_the_limit_jobs_are_counted_seldom() -> None:
    async def main() -> int:
        counted = 0

        async def count(_owner: str, _most: int) -> int:
            nonlocal counted
            counted += 1
            return 0

        live_jobs = LiveJobs(count)
        for _ in range(400):
            assert await live_jobs.admit("ann", 1, most=1000)
            live_jobs.submitted("ann", 1)
        return counted

    assert asyncio.run(main()) <= 2


def test_few_jobs_are_counted_while_submissions_go_on() -> None:
    async def main() -> None:
        counted = 0
        answer = asyncio.Event()
        answer.set()

        async def count(_owner: str, _most: int) -> int:
            nonlocal counted
            counted += 1
            await answer.wait()
            return 0

        live_jobs = LiveJobs(count)
        assert await live_jobs.admit("ann", 1, most=1000)
        live_jobs.submitted("ann", 1)
        answer.clear()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while counted < 2 and loop.time() < begun + 30:
            # The count is old by now; nobody waits for the new one.
            assert await live_jobs.admit("ann", 0, most=1000)
            await asyncio.sleep(0.05)
        assert counted == 2
        answer.set()

    asyncio.run(main())


def test_without_the_database_the_last_count_is_used() -> None:
    async def main() -> None:
        counted = 0

        async def count(_owner: str, _most: int) -> int:
            nonlocal counted
            counted += 1
            raise Unavailable("The database is away.")

        live_jobs = LiveJobs(count)
        # The submission itself waits for the database, and is stored if it comes back in time.
        admitted = await asyncio.gather(*[live_jobs.admit("ann", 1, most=20) for _ in range(30)])
        assert admitted == [True] * 20 + [False] * 10
        assert counted <= 3

    asyncio.run(main())


def test_a_retry_counts_as_a_submission(secured: Serve, database: Database, as_problem: AsProblem) -> None:
    key = make_key(database, max_live_jobs=2)
    operator = make_key(database, "olga", Role.OPERATOR)
    client = secured()
    cancelled = [submit(client, key).json()["id"] for _ in range(2)]
    for job_id in cancelled:
        assert client.post(f"/v1/jobs/{job_id}/cancel", headers=bearer(key)).status_code == 202
    assert [submit(client, key).status_code for _ in range(2)] == [202, 202]

    refused = client.post(f"/v1/jobs/{cancelled[0]}/retry", headers=bearer(key))

    as_problem(refused, 429, "quota-exceeded")
    assert refused.headers["ratelimit"] == '"live-jobs";r=0;t=5'
    assert live(database) == 2
    # A person who runs the system decides.
    assert client.post(f"/v1/jobs/{cancelled[0]}/retry", headers=bearer(operator)).status_code == 202
    assert submit(client, key).status_code == 429


def test_retries_at_once_do_not_exceed_the_limit(secured: Serve, database: Database) -> None:
    key = make_key(database, max_live_jobs=4)
    client = secured()
    cancelled = []
    for _ in range(12):
        cancelled.append(submit(client, key).json()["id"])
        assert client.post(f"/v1/jobs/{cancelled[-1]}/cancel", headers=bearer(key)).status_code == 202

    with ThreadPoolExecutor(12) as pool:
        paths = [f"/v1/jobs/{job_id}/retry" for job_id in cancelled]
        statuses = list(pool.map(lambda path: client.post(path, headers=bearer(key)).status_code, paths))

    assert set(statuses) <= {202, 429}
    assert statuses.count(202) == live(database) <= 4


def test_by_default_a_client_has_a_limit_of_live_jobs(secured: Serve, database: Database) -> None:
    assert Settings().max_live_jobs == 100_000
    client = secured(max_live_jobs=2)
    clients, operators, unlimited = (
        make_key(database, "ann"),
        make_key(database, "olga", Role.OPERATOR),
        make_key(database, "bob", max_live_jobs=5),
    )

    assert [submit(client, clients).status_code for _ in range(3)] == [202, 202, 429]
    assert [submit(client, operators).status_code for _ in range(3)] == [202] * 3
    assert [submit(client, unlimited).status_code for _ in range(3)] == [202] * 3
    assert submit(secured(max_live_jobs=0), clients).status_code == 202


def test_without_credentials_all_have_one_limit_of_live_jobs(secured: Serve, as_problem: AsProblem) -> None:
    client = secured(max_live_jobs=2)

    answers = [client.post("/v1/jobs", json=JOB) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 429]
    as_problem(answers[2], 429, "quota-exceeded")


def test_without_credentials_each_address_has_a_rate(settings: Settings, registry: Registry) -> None:
    """As where a server of one's own serves the application to a network, with no ``authenticate`` of its own."""
    addresses = iter(["192.0.2.1", "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "unix"])

    shares = []

    async def from_elsewhere(request: Request) -> Caller:
        request.scope["client"] = (next(addresses), 1)
        caller = await local_admin(request)
        shares.append(caller.share)
        return caller

    changed = settings.model_copy(update={"submissions_per_second_per_address": 0.01})
    with serving(create_app(changed, registry, authenticate=from_elsewhere)) as api:
        statuses = [api.client.post("/v1/jobs", json=JOB).status_code for _ in range(7)]

    assert statuses == [202, 429, 202, 202, 429, 202, 202]
    # So are uploads shared out, though all files have one owner.
    assert len(set(shares)) == 5


def test_a_repetition_is_answered_whatever_the_limits(secured: Serve, database: Database) -> None:
    client = secured()
    key = make_key(database, owner="ann", max_live_jobs=1)
    once = {**bearer(key), "Idempotency-Key": "once"}
    made = client.post("/v1/jobs", json=JOB, headers=once)
    assert made.status_code == 202
    assert submit(client, key).status_code == 429
    again = client.post("/v1/jobs", json=JOB, headers=once)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (202, "true")
    assert again.json()["id"] == made.json()["id"]
    other = client.post("/v1/jobs", json={**JOB, "priority": 1}, headers=once)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert live(database) == 1
