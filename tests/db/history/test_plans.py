"""What the statements about history read: by an index, in the partitions of the time asked for, and no more (P7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Connection, select

from callboard.db.dispatching.queues import list_queues
from callboard.db.history.failures import group_failures
from callboard.db.history.rollups import Bucket, Dimension, count_anew, recount_next, summarise
from callboard.db.models import job_history
from callboard.db.reads.exports import export_piece
from callboard.db.reads.job_filter import JobFilter
from callboard.db.reads.jobs import count_matching, matching_jobs
from callboard.db.reads.lists import list_jobs
from callboard.db.rules.ids import first_id
from callboard.db.rules.states import Status
from callboard.db.schema.migrate import migrate
from callboard.db.sql.engine import Database
from tests.support.databases import Databases, settings_of
from tests.support.plans import Node, plan_of

#: Partitions for all that follows.
MONTHS = """
DO $$
BEGIN
    FOR n IN 1..6 LOOP
        EXECUTE format(
            'CREATE TABLE callboard.job_history_%s PARTITION OF callboard.job_history FOR VALUES FROM (%L) TO (%L)',
            to_char(date_trunc('month', now(), 'UTC') - n * interval '1 month', 'YYYY_MM'),
            date_trunc('month', now(), 'UTC') - n * interval '1 month',
            date_trunc('month', now(), 'UTC') - (n - 1) * interval '1 month'
        );
    END LOOP;
END $$;
"""
#: The last eleven days: what PostgreSQL knows of the distribution of values is always older than the newest rows.
UNKNOWN_TO_PLANNER = 4000
#: Some of forty thousand jobs over the 111 days before a moment, by their number, counted back from it. One in fifty
#: failed. The older ones have a type that there are no newer jobs of.
JOBS = """
INSERT INTO callboard.job_history (
    id, created_at, type, queue, status, priority, owner, payload, tags, attempt, max_retries, time_limit, started_at,
    attempt_started_at, finished_at, error
)
SELECT
    (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n), 19, '0'))::uuid, at,
    CASE WHEN n > 30000 AND n %% 5 = 0 THEN 'retired' ELSE 'type-' || n %% 10 END, 'queue-' || n %% 5,
    CASE WHEN n %% 50 = 0 THEN 'failed' ELSE 'succeeded' END, 5,
    'owner-' || n %% 97, '{}', jsonb_build_object('n', n::text), 1, 3, 60, at, at, at + interval '1 s',
    CASE WHEN n %% 50 = 0 THEN '{"reason": "exception", "type": "ValueError", "message": "no row 1"}'::jsonb
    END
FROM generate_series(%s::int, %s::int) AS n,
    LATERAL (SELECT date_trunc('milliseconds', %s::timestamptz - n * interval '4 minutes') AS at) AS times;
"""
#: Rollups of the forty days before a moment, by hour.
ROLLUPS = """
INSERT INTO callboard.history_rollup (
    grain, dimension, owner, starts_at, value, jobs, succeeded, failed, cancelled, expired, attempts, waited, ran
)
SELECT
    'hour', dimension, owner, date_trunc('hour', %s::timestamptz, 'UTC') - n * interval '1 hour', value,
    1, 1, 0, 0, 0, 1, 0, 0
FROM generate_series(0, 960) AS n, (VALUES
    ('total', NULL, ''), ('type', NULL, 'a'), ('type', NULL, 'b'), ('queue', NULL, 'a'), ('status', NULL, 'succeeded'),
    ('owner', 'ann', 'ann'), ('owner', 'bob', 'bob'), ('type', 'ann', 'a'), ('type', 'bob', 'a')
) AS kinds (dimension, owner, value);
"""


@dataclass(frozen=True)
class History:
    """A database with a history that ends at ``now``."""

    database: Database
    now: datetime

    def begin(self) -> AbstractContextManager[Connection]:
        return self.database.begin()


def today() -> datetime:
    return datetime.now(UTC)


def first_of_month() -> datetime:
    return today().replace(day=1, hour=0, minute=20, second=0, microsecond=0)


def last_of_month() -> datetime:
    return first_of_month() - timedelta(hours=1)


def middle_of_month() -> datetime:
    return last_of_month().replace(day=15)


#: Where the borders of months lie in a history decides how many partitions a statement meets, and how full they are.
ENDS = pytest.mark.parametrize("end", [first_of_month, middle_of_month, last_of_month])

Call = Callable[[Connection, datetime], object]


@pytest.fixture(scope="module")
def histories(databases: Databases) -> Iterator[Callable[[str, Callable[[], datetime]], History]]:
    """One history for all tests of this module that have the same end of it; they change nothing for good."""
    with ExitStack() as stack:

        @cache
        def history(postgres: str, end: Callable[[], datetime]) -> History:
            settings = settings_of(stack.enter_context(databases.fresh(postgres)))
            migrate(settings)
            now = end()
            with psycopg.connect(settings.require_database_url(), autocommit=True) as connection:
                connection.execute(MONTHS)
                connection.execute(JOBS, (UNKNOWN_TO_PLANNER + 1, 40000, now))
                connection.execute(ROLLUPS, (now,))
                connection.execute("VACUUM ANALYZE callboard.job_history, callboard.history_rollup")
                connection.execute(JOBS, (1, UNKNOWN_TO_PLANNER, now))
            database = Database(settings, role="test")
            stack.callback(database.close)
            return History(database, now)

        yield history


@pytest.fixture
def end() -> Callable[[], datetime]:
    """When the history ends; tests that depend on it ask for several ``ENDS``."""
    return today


@pytest.fixture
def history(
    histories: Callable[[str, Callable[[], datetime]], History], postgres: str, end: Callable[[], datetime]
) -> History:
    return histories(postgres, end)


def plan(history: History, call: Call, *, settled: bool = True) -> list[Node]:
    with history.begin() as connection:
        return plan_of(connection, lambda c: call(c, history.now), settled=settled)


def scans(nodes: list[Node], relation: str) -> list[Node]:
    return [node for node in nodes if (node.relation or node.index or "").startswith(relation)]


def rows(nodes: list[Node]) -> float:
    # A bitmap index scan has the number of pages, not of rows.
    return sum(node.rows for node in nodes if node.kind != "Bitmap Index Scan")


def read(nodes: list[Node]) -> float:
    return sum(node.read for node in nodes if node.kind != "Bitmap Index Scan")


def days(now: datetime, since: int, until: int = 0) -> tuple[datetime, datetime]:
    hour = Bucket.HOUR.floor(now)
    return hour - timedelta(days=since), hour - timedelta(days=until)


SUMMARIES: dict[str, tuple[Dimension, str | None, int]] = {
    "all": (Dimension.TOTAL, None, 1),
    "by type": (Dimension.TYPE, None, 2),
    "by owner": (Dimension.OWNER, None, 2),
    "of one owner": (Dimension.TOTAL, "ann", 1),
    "of one owner by type": (Dimension.TYPE, "ann", 1),
}


@pytest.mark.parametrize("settled", [False, True], ids=["first", "settled"])
@pytest.mark.parametrize("summary", SUMMARIES)
def test_a_summary_reads_the_rows_it_shows(history: History, summary: str, settled: bool) -> None:
    by, owner, groups = SUMMARIES[summary]
    nodes = plan(
        history,
        lambda c, now: summarise(c, *days(now, 30), bucket=Bucket.HOUR, by=by, owner=owner, groups=20),
        settled=settled,
    )
    index = "history_rollup_starts_at_idx" if by is Dimension.OWNER else "history_rollup_key_idx"
    assert {node.index for node in scans(nodes, "history_rollup")} == {index}
    assert rows(scans(nodes, "history_rollup")) == 30 * 24 * groups
    assert scans(nodes, "job") == []


@ENDS
@pytest.mark.parametrize("owner", [None, "owner-50"])
def test_failures_are_found_by_their_time(history: History, owner: str | None) -> None:
    nodes = scans(plan(history, lambda c, now: group_failures(c, *days(now, 40, 33), limit=10, owner=owner)), "job")
    assert {node.kind for node in nodes} <= {"Index Scan", "Bitmap Heap Scan", "Bitmap Index Scan"}
    assert rows(nodes) <= 7 * 24 * 15 / 50 + 1
    assert [node for node in nodes if node.rows and node.relation == "job_history_default"] == []


@ENDS
def test_failures_of_earlier_months_leave_later_ones_out(history: History) -> None:
    month = history.now.replace(day=1) - timedelta(days=40)
    nodes = plan(history, lambda c, _: group_failures(c, month - timedelta(days=7), month, limit=10), settled=False)
    read = {node.relation for node in scans(nodes, "job_history_2")}
    assert read
    assert max(str(name) for name in read) <= f"job_history_{month:%Y_%m}"


@ENDS
def test_the_latest_failures_are_enough(history: History) -> None:
    nodes = plan(history, lambda c, now: group_failures(c, *days(now, 100), limit=10, most=20), settled=False)
    assert rows(scans(nodes, "job_history")) <= 21 * 2
    with history.begin() as connection:
        found = group_failures(connection, *days(history.now, 100), limit=10, most=20)
    assert found.complete is False
    assert sum(group["jobs"] for group in found.groups) == 21


EXPORTS: dict[str, JobFilter] = {
    "all": JobFilter(),
    "owner": JobFilter(owner="owner-7"),
    "type": JobFilter(type="type-3"),
    "failed": JobFilter(statuses=frozenset({Status.FAILED})),
    "tag that few have": JobFilter(tags={"n": "39999"}),
    "all conditions": JobFilter(owner="owner-7", type="type-3", queue="q", statuses=frozenset({Status.SUCCEEDED})),
}


# Days back: to what the planner knows well, and to what it knows nothing of.
@ENDS
@pytest.mark.parametrize("back", [50, 10])
@pytest.mark.parametrize("narrowed", EXPORTS)
def test_a_piece_of_an_export_reads_no_more_than_it_looks_at(history: History, narrowed: str, back: int) -> None:
    def piece(connection: Connection, now: datetime) -> object:
        return export_piece(connection, EXPORTS[narrowed], after=first_id(now - timedelta(days=back)), looked_at=100)

    nodes = scans(plan(history, piece), "job_history")
    assert {node.kind for node in nodes if node.relation != "job_history_default"} <= {"Index Scan"}
    # One more of each month, to find which comes next.
    assert 0 < read(nodes) <= 100 + 5


@ENDS
def test_an_export_of_some_days_leaves_other_months_out(history: History) -> None:
    month = (history.now.replace(day=1) - timedelta(days=40)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    wanted = JobFilter(created_after=month + timedelta(days=2), created_before=month + timedelta(days=3))

    def piece(connection: Connection, _: datetime) -> object:
        return export_piece(connection, wanted, after=None, looked_at=100)

    nodes = scans(plan(history, piece), "job_history")
    assert {node.relation for node in nodes} == {f"job_history_{month:%Y_%m}"}
    assert rows(nodes) <= 100


def test_all_pieces_are_the_whole(history: History) -> None:
    with history.begin() as connection:
        seen: list[UUID] = []
        last: UUID | None = None
        while True:
            piece = export_piece(connection, JobFilter(owner="owner-7", queue="queue-2"), after=last, looked_at=50)
            seen += [row["id"] for row in piece.rows]
            last = piece.last
            if last is None:
                break
        statement = (
            select(job_history.c.id)
            .where(job_history.c.owner == "owner-7", job_history.c.queue == "queue-2")
            .order_by(job_history.c.id)
        )
        assert seen == list(connection.execute(statement).scalars())


LISTS: dict[str, JobFilter] = EXPORTS | {
    "queue": JobFilter(queue="queue-3"),
    "queue that is not there": JobFilter(queue="nowhere"),
    "type of an owner who has none": JobFilter(owner="owner-7", type="type-11"),
    "type that was made long ago": JobFilter(type="retired"),
}


@ENDS
@pytest.mark.parametrize(("back", "settled"), [(50, False), (10, True)], ids=["50-first", "10-settled"])
@pytest.mark.parametrize("narrowed", LISTS)
def test_a_page_looks_at_so_many_jobs(history: History, narrowed: str, settled: bool, back: int) -> None:
    def page(connection: Connection, now: datetime) -> object:
        before = first_id(now - timedelta(days=back))
        return list_jobs(connection, LISTS[narrowed], limit=20, before=before, looked_at=100)

    nodes = scans(plan(history, page, settled=settled), "job_history")
    kept = [node for node in nodes if node.relation != "job_history_default"]
    assert {node.kind for node in kept} <= {"Index Scan", "Index Only Scan"}
    # To find where to stop in each of up to three indexes, and then that far.
    assert read(kept) <= 4 * 105
    # Those of later months hold no older job.
    month = history.now - timedelta(days=back)
    assert max(str(node.relation) for node in kept) <= f"job_history_{month:%Y_%m}"


@ENDS
def test_a_list_of_some_days_leaves_other_months_out(history: History) -> None:
    month = (history.now.replace(day=1) - timedelta(days=40)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    wanted = JobFilter(created_after=month + timedelta(days=2), created_before=month + timedelta(days=3))

    nodes = scans(plan(history, lambda c, _: list_jobs(c, wanted, limit=20)), "job_history")
    assert {node.relation for node in nodes} == {f"job_history_{month:%Y_%m}"}
    assert rows(nodes) <= 21


@ENDS
@pytest.mark.parametrize("call", [matching_jobs, count_matching], ids=["jobs", "count"])
def test_bulk_actions_find_their_jobs_by_an_index(history: History, call: Callable[..., object]) -> None:
    most = {"limit": 50} if call is matching_jobs else {"most": 50}
    wanted = JobFilter(statuses=frozenset({Status.FAILED}))
    nodes = scans(
        plan(history, lambda c, now: call(c, job_history, wanted, before=first_id(now - timedelta(days=50)), **most)),
        "job_history",
    )
    assert "Seq Scan" not in {node.kind for node in nodes if node.relation != "job_history_default"}
    assert 0 < rows(nodes) <= 60


def test_the_throughput_of_queues_reads_the_last_minute(history: History) -> None:
    nodes = scans(plan(history, lambda c, _: list_queues(c)), "job_history")
    assert {node.kind for node in nodes if node.relation != "job_history_default"} <= {
        "Bitmap Heap Scan", "Bitmap Index Scan", "Index Scan",
    }  # fmt: skip
    assert len({node.relation for node in nodes if (node.relation or "").startswith("job_history_2")}) <= 3
    assert rows(nodes) <= 5


def test_counting_an_hour_anew_reads_that_hour(history: History) -> None:
    def recount(connection: Connection, now: datetime) -> None:
        moment = now - timedelta(days=70)
        count_anew(connection, moment, moment)
        recount_next(connection)

    nodes = scans(plan(history, recount, settled=False), "job_history")
    assert {node.kind for node in nodes if node.relation != "job_history_default"} <= {
        "Bitmap Heap Scan", "Bitmap Index Scan", "Index Scan",
    }  # fmt: skip
    assert rows(nodes) <= 16
