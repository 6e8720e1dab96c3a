"""The plans of the hot statements: the index, the partition, and no more rows than they need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Connection, func, select, text

from callboard.db.attempt.progress import ProgressReport, report_progress
from callboard.db.dispatching.due import anything_due, next_jobs, queues_in_flight, seconds_until_due, take_queues
from callboard.db.fleet.workers import abandoned_attempts, list_workers, stop_requests, unheld_attempts
from callboard.db.models import job_history, jobs, workers
from callboard.db.reads.job_filter import JobFilter
from callboard.db.reads.jobs import get_jobs, get_payload, get_states, list_attempts
from callboard.db.reads.lists import list_jobs
from callboard.db.reads.timeline import Watch, read_events
from callboard.db.rules.ids import new_id
from callboard.db.rules.states import Status
from callboard.db.schema.migrate import migrate
from callboard.db.sql.engine import Database
from callboard.db.transitions import (
    AttemptId,
    Ending,
    SubmissionRequest,
    await_worker,
    cancel,
    claim,
    consume,
    erase,
    expire,
    mark_dispatched,
    promote,
    recall,
    record,
    reopen,
    submit,
    undispatch,
)
from tests.support.databases import Databases, settings_of
from tests.support.factory import OUTCOMES, Factory
from tests.support.plans import Node, plan_of
from tests.support.until import until

CROWD = (Path(__file__).parent.parent / "support" / "crowd.sql").read_text()
QUEUE = "queue-0"
HELD = 100
"""Jobs of one batch."""


@pytest.fixture(scope="module")
def crowds(databases: Databases) -> Iterator[Callable[[str], Database]]:
    """One crowd for all tests of this module, which change nothing for good."""
    with ExitStack() as stack:

        @cache
        def crowd(postgres: str) -> Database:
            settings = settings_of(stack.enter_context(databases.fresh(postgres)))
            migrate(settings)
            with psycopg.connect(settings.require_database_url()) as connection:
                connection.execute(CROWD)
            database = Database(settings, role="test")
            stack.callback(database.close)
            return database

        yield crowd


@pytest.fixture
def crowded(crowds: Callable[[str], Database], postgres: str) -> Database:
    return crowds(postgres)


def ids(connection: Connection, status: Status, limit: int) -> list[UUID]:
    table = jobs if status in {Status.QUEUED, Status.RUNNING} else job_history
    return list(connection.execute(select(table.c.id).where(table.c.status == status).limit(limit)).scalars())


def a_worker(connection: Connection) -> UUID:
    worker_id: UUID = connection.execute(select(workers.c.id).where(workers.c.name == "worker-1")).scalar_one()
    return worker_id


def read_jobs(plan: list[Node]) -> list[Node]:
    return [node for node in plan if node.relation == "jobs" or (node.index or "").startswith("jobs_")]


def partitions(plan: list[Node], table: str) -> set[str]:
    return {node.relation for node in plan if node.relation is not None and node.relation.startswith(f"{table}_2")}


Call = Callable[[Connection], object]

DUTIES: dict[str, tuple[Call, str, int]] = {
    "take_queues": (lambda c: take_queues(c, default_window=10, first_jobs=20), "jobs_dispatch_idx", 105),
    "next_jobs": (lambda c: next_jobs(c, {f"queue-{n}": 20 for n in range(5)}), "jobs_dispatch_idx", 100),
    "seconds_until_due": (seconds_until_due, "jobs_due_idx", 1),
    "promote": (lambda c: promote(c, limit=50), "jobs_due_idx", 200),
    "expire": (expire, "jobs_expires_idx", 400),
    "undispatch": (lambda c: undispatch(c, QUEUE, older_than=1.0), "jobs_in_flight_idx", 200),
    "queues_in_flight": (queues_in_flight, "jobs_in_flight_idx", 400),
    "abandoned_attempts": (abandoned_attempts, "jobs_in_flight_idx", 400),
    "unheld_attempts": (lambda c: unheld_attempts(c, a_worker(c), [], older_than=1.0), "jobs_in_flight_idx", 400),
    "list_workers": (list_workers, "jobs_in_flight_idx", 400),
    "recall": (lambda c: recall(c, ["test.job", "other"]), "jobs_waiting_for_idx", 200),
}
"""What is asked every few seconds: through which index of jobs, and how many rows of it may be read."""


@pytest.mark.parametrize("settled", [False, True], ids=["first", "settled"])
@pytest.mark.parametrize("duty", DUTIES)
def test_regular_duties_read_only_what_they_are_about(crowded: Database, duty: str, settled: bool) -> None:
    call, index, most = DUTIES[duty]
    with crowded.begin() as connection:
        nodes = read_jobs(plan_of(connection, call, settled=settled))

    scans = [node for node in nodes if node.index is not None or node.kind == "Seq Scan"]
    assert index in {node.index for node in scans}
    assert sum(node.rows for node in scans) <= most * 2, scans
    assert "Seq Scan" not in {node.kind for node in scans}


BATCHES: dict[str, Callable[[Connection, list[UUID], list[UUID]], object]] = {
    "mark_dispatched": lambda c, queued, running: mark_dispatched(c, [AttemptId(job_id, 1) for job_id in queued]),
    "claim": lambda c, queued, running: claim(
        c, [AttemptId(job_id, 1) for job_id in queued], worker_id=a_worker(c), worker="w"
    ),
    "await_worker": lambda c, queued, running: await_worker(c, [AttemptId(job_id, 1) for job_id in queued], grace=60.0),
    "finish": lambda c, queued, running: record(
        c, [Ending(AttemptId(job_id, 1), OUTCOMES[Status.SUCCEEDED]) for job_id in running]
    ),
    "retry_later": lambda c, queued, running: record(
        c, [Ending(AttemptId(job_id, 1), OUTCOMES[Status.RETRYING]) for job_id in running]
    ),
    "release": lambda c, queued, running: record(
        c, [Ending(AttemptId(job_id, 1), OUTCOMES[Status.QUEUED]) for job_id in running]
    ),
    "report_progress": lambda c, queued, running: report_progress(
        c, [ProgressReport(AttemptId(job_id, 1), 1, 1.0, None, None, None) for job_id in running]
    ),
    "stop_requests": lambda c, queued, running: stop_requests(c, [AttemptId(job_id, 1) for job_id in running]),
    "cancel waiting": lambda c, queued, running: cancel(c, queued[0]),
    "cancel running": lambda c, queued, running: cancel(c, running[0]),
    "get_jobs": lambda c, queued, running: get_jobs(c, queued),
}


@pytest.mark.parametrize("verb", BATCHES)
def test_verbs_find_their_jobs_by_id(crowded: Database, verb: str) -> None:
    with crowded.begin() as connection:
        queued, running = ids(connection, Status.QUEUED, HELD), ids(connection, Status.RUNNING, HELD)
        nodes = read_jobs(plan_of(connection, lambda c: BATCHES[verb](c, queued, running), settled=True))

    scans = [node for node in nodes if node.index is not None or node.kind == "Seq Scan"]
    assert {node.index for node in scans} == {"jobs_pkey"}
    assert max(node.rows for node in scans) <= HELD


@pytest.mark.parametrize("repeated", [False, True])
def test_submitting_reads_no_other_jobs(crowded: Database, factory: Factory, repeated: bool) -> None:
    new = [factory.new_job(unique_key=f"key-{number * 3}", owner=f"owner-{number * 3 % 100}") for number in range(50)]
    with crowded.begin() as connection:
        requests = [SubmissionRequest([job]) for job in new]
        plan = plan_of(connection, lambda c: submit(c, requests, repeated=repeated), settled=True)

    assert "Seq Scan" not in {node.kind for node in read_jobs(plan)}
    assert sum(node.rows for node in read_jobs(plan) if node.index is not None) <= 3 * len(new)
    assert len(partitions(plan, "job_history")) <= 1


READS: dict[str, tuple[str, Callable[[Connection, UUID], object]]] = {
    "get_jobs": ("job_history", lambda c, job_id: get_jobs(c, [job_id])),
    "get_states": ("job_history", lambda c, job_id: get_states(c, [job_id])),
    "get_payload": ("job_history", get_payload),
    "list_attempts": ("job_attempts", list_attempts),
    "read_events": ("job_attempts", lambda c, job_id: read_events(c, [Watch(job_id)], limit=10)),
    "reopen": ("job_history", reopen),
    "erase": ("job_history", erase),
    "consume": ("job_history", consume),
}


@pytest.mark.parametrize("settled", [False, True], ids=["first", "settled"])
@pytest.mark.parametrize("read", READS)
def test_a_finished_job_is_looked_for_in_one_partition(crowded: Database, read: str, settled: bool) -> None:
    table, call = READS[read]
    with crowded.begin() as connection:
        (job_id,) = ids(connection, Status.FAILED, 1)
        plan = plan_of(connection, lambda c: call(c, job_id), settled=settled)

    assert len(partitions(plan, table)) == 1
    assert not [node for node in plan if node.kind == "Seq Scan" and (node.relation or "").startswith("job")]


PAGES = {
    "all": JobFilter(),
    "owner": JobFilter(owner="owner-7"),
    "type": JobFilter(type="test.job"),
    "failed": JobFilter(statuses=frozenset({Status.FAILED})),
    "queue": JobFilter(queue="queue-1"),
    "owner and statuses": JobFilter(owner="owner-7", statuses=frozenset({Status.SUCCEEDED, Status.RUNNING})),
    "owner and type": JobFilter(owner="owner-7", type="test.job"),
    "tag that no job has": JobFilter(tags={"n": "1"}),
}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("later_page", [False, True])
def test_a_page_reads_little_more_than_itself(crowded: Database, page: str, later_page: bool) -> None:
    with crowded.begin() as connection:
        newest = connection.execute(select(job_history.c.id).order_by(job_history.c.id.desc()).limit(1)).scalar_one()
        before = newest if later_page else None
        plan = plan_of(
            connection, lambda c: list_jobs(c, PAGES[page], limit=20, before=before, scan_limit=50), settled=False
        )

    scanned = [node for node in plan if node.index is not None or node.kind == "Seq Scan"]
    history = [node for node in scanned if node.relation != "jobs"]
    assert not [node for node in history if node.kind == "Seq Scan" and node.relation != "job_history_default"]
    # Where no index knows all of it: to find where to stop in each of two, and then that far.
    most = 3 * 60 if page in {"owner and statuses", "owner and type", "tag that no job has"} else 20 * 6
    assert sum(node.rows for node in history) <= most, history


def test_nothing_due_is_found_out_cheaply(crowded: Database) -> None:
    with crowded.begin() as connection:
        plan = read_jobs(plan_of(connection, lambda c: anything_due(c, ["queue-0"]), settled=False))

    assert sum(node.rows for node in plan) <= 10


def updates(connection: Connection) -> tuple[int, int]:
    """Rows of jobs that were updated, and those of them that stayed out of all indexes (heap-only tuples)."""
    counters = text("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'jobs'")
    all_, heap_only = connection.execute(counters).one()
    return all_, heap_only


def test_a_claim_touches_no_index(database: Database, factory: Factory) -> None:
    worker_id = factory.worker()

    def heap_only_claims() -> int:
        claims = [AttemptId(job_id, 1) for job_id in factory.submit_all(*(factory.new_job() for _ in range(200)))]
        with database.begin() as connection:
            mark_dispatched(connection, claims)
        with database.begin() as connection:
            all_before, before = updates(connection)
            assert len(claim(connection, claims, worker_id=worker_id, worker="host-1")) == len(claims)
            all_, heap_only = updates(connection)
        assert all_ - all_before == len(claims)
        return heap_only - before

    # While another session has a snapshot, as ANALYZE does, pages fill up with row versions that it may still read, and
    # have no space for a new one. That passes; an index would prevent heap-only updates each time.
    until(lambda: heap_only_claims() >= 200, what="200 heap-only claims of 200")


def test_progress_touches_no_index(database: Database, factory: Factory) -> None:
    job_ids = [factory.in_state(Status.RUNNING) for _ in range(5)]
    with database.begin() as connection:
        before = updates(connection)
        report_progress(
            connection, [ProgressReport(AttemptId(job_id, 1), 1, 1.0, 2.0, "step", "…") for job_id in job_ids]
        )
        assert updates(connection) == (before[0] + 5, before[1] + 5)


def test_the_crowd_is_what_the_tests_take_it_for(crowded: Database) -> None:
    with crowded.begin() as connection:
        counts = connection.execute(select(jobs.c.status, func.count()).group_by(jobs.c.status))
        assert dict(counts.all()) == {"queued": 17_800, "running": 200, "scheduled": 2000}
        assert get_jobs(connection, [new_id()]) == {}
