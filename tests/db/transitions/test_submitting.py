"""Submitting: keys of both kinds, many at once, and again after the response to a COMMIT was lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from callboard.db.fleet.expired_rows import delete_expired_keys
from callboard.db.models import idempotency_keys, job_history, jobs
from callboard.db.rules.ids import created_at_of
from callboard.db.rules.states import TERMINAL, Status
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.db.transitions import IdempotencyKey, NewJob, SubmissionKind, SubmissionRequest, SubmissionResult, submit
from tests.support.factory import OUTCOMES, Factory
from tests.support.records import read_records
from tests.support.threads import together

THREADS = 20


@pytest.fixture
def wide(settings: Settings) -> Iterator[Database]:
    """Connections for many threads."""
    database = Database(settings, role="test", pool_size=THREADS)
    yield database
    database.close()


def put(database: Database, *requests: SubmissionRequest, repeated: bool = False) -> list[SubmissionResult]:
    with database.begin() as connection:
        return submit(connection, requests, repeated=repeated)


def key(name: str = "k", body: bytes = b"body") -> IdempotencyKey:
    return IdempotencyKey("owner", name, body, ttl=3600.0)


def count(database: Database) -> int:
    with database.begin() as connection:
        return connection.execute(select(func.count()).select_from(jobs)).scalar_one()


def test_a_job_is_stored_as_it_was_submitted(database: Database, factory: Factory) -> None:
    at = datetime(2040, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    parent, batch = factory.new_job().id, factory.new_job().id
    new = factory.new_job(
        type="sheet.read",
        queue="sheets",
        priority=9,
        payload='{"ä": [1.5, null, "\\u2603"]}'.encode(),
        tags=b'{"case": "123"}',
        max_retries=7,
        time_limit=1.5,
        scheduled_at=at,
        expires_at=at + timedelta(days=1),
        unique_key="key",
        parent_id=parent,
        batch_id=batch,
        traceparent="00-aa-bb-01",
    )
    (made,) = put(database, SubmissionRequest([new]))

    row = read_records(database)[new.id].row
    assert row["payload"] == {"ä": [1.5, None, "☃"]}
    assert row["tags"] == {"case": "123"}
    assert row["created_at"] == created_at_of(new.id)
    assert row["scheduled_at"] == row["due_at"] == at
    assert {name: row[name] for name in ("type", "queue", "priority", "max_retries", "time_limit", "unique_key")} == {
        "type": "sheet.read",
        "queue": "sheets",
        "priority": 9,
        "max_retries": 7,
        "time_limit": 1.5,
        "unique_key": "key",
    }
    assert (row["parent_id"], row["batch_id"], row["traceparent"]) == (parent, batch, "00-aa-bb-01")
    assert made.rows[new.id]["status"] == row["status"] == Status.SCHEDULED
    assert made.rows[new.id]["expires_at"] == at + timedelta(days=1)


def test_a_time_that_has_passed_means_now(database: Database, factory: Factory) -> None:
    job_id = factory.submit(scheduled_at=datetime(2020, 1, 1, tzinfo=UTC))

    row = read_records(database)[job_id].row
    assert (row["status"], row["due_at"]) == (Status.QUEUED, None)


def test_a_delay_counts_from_the_databases_clock(database: Database, factory: Factory) -> None:
    job_id = factory.submit(delay=60.0)

    with database.begin() as connection:
        wait = connection.execute(select(jobs.c.due_at - func.now()).where(jobs.c.id == job_id)).scalar_one()
    assert timedelta(seconds=50) < wait <= timedelta(seconds=60)


def test_a_request_is_made_as_a_whole_or_not_at_all(database: Database, factory: Factory) -> None:
    good, bad = factory.new_job(), factory.new_job(payload=b'"\\u0000"')

    with pytest.raises(Exception, match="u0000"):
        put(database, SubmissionRequest([good, bad]))
    assert count(database) == 0


# --- unique keys ----------------------------------------------------------------------------------------------------


def test_one_live_job_holds_a_unique_key(wide: Database, factory: Factory) -> None:
    calls = [partial(put, wide, SubmissionRequest([factory.new_job(unique_key="one")])) for _ in range(THREADS)]

    ids = {job_id for (made,) in together(*calls) for job_id in made.job_ids}

    assert len(ids) == 1
    assert count(wide) == 1


def test_unique_keys_in_opposite_order_do_not_deadlock(wide: Database, factory: Factory) -> None:
    names = [f"key-{number}" for number in range(50)]

    def batch(order: list[str]) -> list[SubmissionRequest]:
        return [SubmissionRequest([factory.new_job(unique_key=name)]) for name in order]

    for _ in range(3):
        results = together(*(partial(put, wide, *batch(order)) for order in (names, names[::-1], names, names[::-1])))
        assert len({tuple(made.job_ids) for submissions in results for made in submissions}) == len(names)
    assert count(wide) == len(names)


def test_a_unique_key_belongs_to_its_owner_and_type(database: Database, factory: Factory) -> None:
    first = factory.submit(unique_key="one")

    assert factory.submit(unique_key="one") == first
    assert factory.submit(unique_key="one", owner="someone else") != first
    assert factory.submit(unique_key="one", type="test.other") != first
    assert factory.submit(unique_key="other") != first


def test_a_finished_job_gives_its_unique_key_back(database: Database, factory: Factory) -> None:
    first = factory.in_state(Status.SUCCEEDED, unique_key="one")

    assert factory.submit(unique_key="one") != first


def test_jobs_of_one_request_may_share_a_unique_key(database: Database, factory: Factory) -> None:
    one, other = factory.new_job(unique_key="one"), factory.new_job(unique_key="one")
    (made,) = put(database, SubmissionRequest([one, other]))

    assert made.job_ids == [one.id, one.id]
    assert made.rows.keys() == {one.id}


# --- idempotency keys -----------------------------------------------------------------------------------------------


def test_one_request_holds_an_idempotency_key(wide: Database, factory: Factory) -> None:
    calls = [partial(put, wide, SubmissionRequest([factory.new_job()], key())) for _ in range(THREADS)]

    results = [made for (made,) in together(*calls)]

    kinds = Counter(made.kind for made in results)
    assert kinds.pop(SubmissionKind.CREATED) == 1
    assert kinds.keys() <= {SubmissionKind.REPLAYED, SubmissionKind.KEY_IN_FLIGHT}
    assert len({tuple(made.job_ids) for made in results if made.kind is not SubmissionKind.KEY_IN_FLIGHT}) == 1
    assert count(wide) == 1


def test_of_two_requests_with_one_key_in_one_call_the_first_wins(database: Database, factory: Factory) -> None:
    first, second = factory.new_job(), factory.new_job()
    made, replayed, refused = put(
        database,
        SubmissionRequest([first], key()),
        SubmissionRequest([second], key()),
        SubmissionRequest([factory.new_job()], key(body=b"other")),
    )

    assert (made.kind, made.job_ids) == (SubmissionKind.CREATED, [first.id])
    assert (replayed.kind, replayed.job_ids) == (SubmissionKind.REPLAYED, [first.id])
    assert (refused.kind, refused.job_ids) == (SubmissionKind.KEY_REUSED, [])
    assert count(database) == 1


def test_keys_in_opposite_order_do_not_deadlock(wide: Database, factory: Factory) -> None:
    names = [f"key-{number}" for number in range(50)]

    def batch(order: list[str]) -> list[SubmissionRequest]:
        return [SubmissionRequest([factory.new_job()], key(name)) for name in order]

    together(*(partial(put, wide, *batch(order)) for order in (names, names[::-1], names, names[::-1])))

    assert count(wide) == len(names)


def test_a_replay_names_the_job_that_held_the_unique_key(database: Database, factory: Factory) -> None:
    holder = factory.submit(unique_key="one")

    def ask() -> SubmissionRequest:
        return SubmissionRequest([factory.new_job(unique_key="one")], key())

    in_one_call = put(database, ask(), ask())
    later = put(database, ask())

    assert [made.job_ids for made in in_one_call + later] == [[holder]] * 3
    assert [made.kind for made in in_one_call + later] == [
        SubmissionKind.CREATED,
        SubmissionKind.REPLAYED,
        SubmissionKind.REPLAYED,
    ]


def test_a_key_outlives_its_job_and_ends_with_its_time(database: Database, factory: Factory) -> None:
    new = factory.new_job()
    put(database, SubmissionRequest([new], key()))
    factory.end(factory.claim(new.id), OUTCOMES[Status.SUCCEEDED])

    (replayed,) = put(database, SubmissionRequest([factory.new_job()], key()))
    assert (replayed.kind, replayed.job_ids) == (SubmissionKind.REPLAYED, [new.id])

    with database.begin() as connection:
        assert delete_expired_keys(connection) == 0
        connection.execute(update(idempotency_keys).values(expires_at=func.now() - func.make_interval(0, 0, 0, 0, 1)))
        assert delete_expired_keys(connection) == 1
    (made,) = put(database, SubmissionRequest([factory.new_job()], key()))
    assert made.kind is SubmissionKind.CREATED


# --- after a lost response ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("repeated", [False, True])
def test_submitting_the_same_jobs_again_changes_nothing(database: Database, factory: Factory, repeated: bool) -> None:
    requests = [
        SubmissionRequest([factory.new_job()], key("a")),
        SubmissionRequest([factory.new_job(unique_key="one")]),
    ]
    requests += [SubmissionRequest([factory.new_job() for _ in range(3)])]

    first = put(database, *requests)
    again = put(database, *requests, repeated=repeated)

    assert [(made.kind, made.job_ids, made.rows.keys()) for made in again] == [
        (made.kind, made.job_ids, made.rows.keys()) for made in first
    ]
    assert count(database) == 5


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_a_job_that_finished_before_it_is_submitted_again_stays_finished(
    database: Database, factory: Factory, status: Status
) -> None:
    new = job_in(factory, status)
    (made,) = put(database, SubmissionRequest([new]), repeated=True)

    assert (made.kind, made.job_ids) == (SubmissionKind.CREATED, [new.id])
    assert made.rows[new.id]["status"] == status
    assert read_records(database)[new.id].row["status"] == status


def test_its_unique_key_may_belong_to_another_job_by_then(database: Database, factory: Factory) -> None:
    new = job_in(factory, Status.SUCCEEDED, unique_key="one")
    holder = factory.submit(unique_key="one")
    (made,) = put(database, SubmissionRequest([new]), repeated=True)

    assert made.job_ids == [new.id]
    assert read_records(database).keys() == {new.id, holder}


def test_an_erased_job_is_not_made_again(database: Database, factory: Factory) -> None:
    new = job_in(factory, Status.SUCCEEDED)
    with database.begin() as connection:
        connection.execute(update(job_history).values(deleted=True, payload=None, erased_at=func.now()))
    put(database, SubmissionRequest([new]), repeated=True)

    assert count(database) == 0


def job_in(factory: Factory, status: Status, **changes: object) -> NewJob:
    """A job that was submitted and is in that state now."""
    new = factory.new_job(**changes)
    made: UUID = factory.in_state(status, **{**changes, "id": new.id})
    assert made == new.id
    return new
