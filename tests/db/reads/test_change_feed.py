from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from callboard.db.reads.change_feed import Changes, current_moment, read_changes
from callboard.db.rules.ids import new_id
from callboard.db.rules.snapshot import Snapshot
from callboard.db.rules.states import Status
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.db.transitions import Amendment, AttemptId, amend, cancel, erase, mark_dispatched, promote, reopen
from tests.support.clock import make_due
from tests.support.factory import OUTCOMES, Factory
from tests.support.plans import Node, plan_of


def now(database: Database) -> Snapshot:
    with database.begin() as connection:
        return current_moment(connection)


def changes(
    database: Database, since: Snapshot, *, limit: int = 1000, after: UUID | None = None, owner: str | None = None
) -> Changes:
    with database.begin() as connection:
        return read_changes(connection, since, limit=limit, late=30.0, after=after, owner=owner)


def changed(database: Database, since: Snapshot, owner: str | None = None) -> list[tuple[UUID, str]]:
    return [(row["id"], row["status"]) for row in changes(database, since, owner=owner).rows]


def test_each_job_that_changed_is_there_once_as_it_is_now(database: Database, factory: Factory) -> None:
    for status in Status:
        factory.in_state(status)
    since = now(database)
    assert changed(database, since) == []
    made = [(factory.in_state(status), str(status)) for status in Status]
    assert changed(database, since) == made


def test_every_transition_is_a_change(database: Database, factory: Factory) -> None:
    job_id = factory.submit()
    since = now(database)

    def statuses_after(change: str) -> list[str]:
        nonlocal since
        read = changes(database, since)
        assert all(row["id"] == job_id for row in read.rows), change
        since = read.moment
        return [row["status"] for row in read.rows]

    with database.begin() as connection:
        amend(connection, job_id, Amendment({"priority": 9}))
    assert statuses_after("amended") == ["queued"]
    claimed = factory.claim(job_id)
    assert statuses_after("claimed") == ["running"]
    factory.end(claimed, OUTCOMES[Status.RETRYING])
    assert statuses_after("failed") == ["retrying"]
    make_due(database, job_id)
    with database.begin() as connection:
        promote(connection)
    assert statuses_after("promoted") == ["queued"]
    with database.begin() as connection:
        cancel(connection, job_id)
    assert statuses_after("cancelled") == ["cancelled"]
    with database.begin() as connection:
        reopen(connection, job_id)
    assert statuses_after("reopened") == ["queued"]
    assert statuses_after("nothing") == []


def test_a_transaction_that_commits_late_is_not_missed(database: Database, factory: Factory) -> None:
    # It has the lower id and the earlier time, and is committed after the reading that sees the other one.
    slow, fast = factory.submit(), factory.submit()
    since = now(database)
    with ExitStack() as stack:
        late = stack.enter_context(database.begin())
        cancel(late, slow)
        with database.begin() as connection:
            cancel(connection, fast)
        first = changes(database, since)
        assert [row["id"] for row in first.rows] == [fast]
    second = changes(database, first.moment)
    assert [row["id"] for row in second.rows] == [slow]
    assert not first.moment.sees(second.rows[0]["transaction"])
    assert second.moment.sees(second.rows[0]["transaction"])
    assert changed(database, second.moment) == []


def test_pages_in_the_order_of_ids(database: Database, factory: Factory) -> None:
    since = now(database)
    made = [factory.in_state(status) for status in (Status.QUEUED, Status.SUCCEEDED) * 3]

    def pages() -> Iterator[list[UUID]]:
        after, more = None, True
        while more:
            page = changes(database, since, limit=4, after=after)
            ids = [row["id"] for row in page.rows]
            yield ids
            after, more = ids[-1], page.more

    assert [job_id for page in pages() for job_id in page] == made


def test_only_of_an_owner(database: Database, factory: Factory) -> None:
    since = now(database)
    mine = factory.in_state(Status.SUCCEEDED, owner="ann"), factory.submit(owner="ann")
    factory.in_state(Status.SUCCEEDED, owner="bob")
    assert [job_id for job_id, _ in changed(database, since, "ann")] == list(mine)


def test_what_was_deleted_is_not_told(database: Database, factory: Factory) -> None:
    since = now(database)
    job_id = factory.in_state(Status.SUCCEEDED)
    with database.begin() as connection:
        assert erase(connection, job_id)
    assert changed(database, since) == []


def test_a_confirmed_message_changes_the_transaction_alone(database: Database, factory: Factory) -> None:
    job_id = factory.submit()
    since = now(database)
    with database.begin() as connection:
        mark_dispatched(connection, [AttemptId(job_id, 1)])
    (row,) = changes(database, since).rows
    assert (row["id"], row["revision"]) == (job_id, 0)


def test_the_transaction_is_the_whole_id(database: Database, factory: Factory) -> None:
    since = now(database)
    new = factory.new_job(id=new_id())
    factory.submit_all(new)
    with database.begin() as connection:
        known = connection.execute(text("SELECT pg_current_xact_id()::text::bigint")).scalar_one()
    (row,) = changes(database, since).rows
    assert since.xmax <= row["transaction"] < known


_OLD_HISTORY = """
    INSERT INTO callboard.job_history
        (id, created_at, type, queue, status, priority, owner, max_retries, time_limit, finished_at)
    SELECT gen_random_uuid(), now(), 'test.job', 'default', 'succeeded', 5, 'owner', 3, 60,
        now() - interval '1 day' + number * interval '1 second'
    FROM generate_series(1, 30000) number
"""


@pytest.mark.parametrize("settled", [False, True])
def test_history_before_the_moment_is_not_read(
    database: Database, factory: Factory, settings: Settings, settled: bool
) -> None:
    with database.begin() as connection:
        connection.execute(text(_OLD_HISTORY))
    with psycopg.connect(settings.require_database_url(), autocommit=True) as vacuum:
        vacuum.execute("VACUUM (ANALYZE) callboard.job_history")
    since = now(database)
    factory.submit()
    with database.begin() as connection:
        nodes = plan_of(
            connection, lambda connection: read_changes(connection, since, limit=10, late=30.0), settled=settled
        )
    reads = [node for node in nodes if (node.relation or "").startswith("job_history")]
    assert reads
    assert {node.kind for node in reads} <= {"Bitmap Heap Scan", "Index Scan"}


@pytest.mark.parametrize("settled", [False, True])
def test_while_no_transaction_ends_no_row_is_read(database: Database, factory: Factory, settled: bool) -> None:
    factory.in_state(Status.SUCCEEDED)
    factory.submit()

    def nodes() -> list[Node]:
        since = now(database)
        with database.begin() as connection:
            nodes = plan_of(
                connection, lambda connection: read_changes(connection, since, limit=10, late=30.0), settled=settled
            )
        return [node for node in nodes if (node.relation or "").startswith("job")]

    # Transactions of other databases on the server count too, and other tests run there.
    assert any(nodes() == [] for _ in range(50))
