"""A prepared statement whose plan was made while there were few jobs must not read all of them once there are many."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Connection

from callboard.db.attempt.progress import ProgressReport, report_progress
from callboard.db.dispatching.due import take_queues
from callboard.db.fleet.workers import stop_requests
from callboard.db.reads.jobs import get_jobs, get_states
from callboard.db.rules.states import Status
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.db.transitions import AttemptId, Ending, claim, mark_dispatched, record
from tests.support.factory import OUTCOMES, QUEUE, Factory
from tests.support.plans import plan_of

FEW = 40
MANY = 3000

Call = Callable[[Connection, list[UUID], UUID], object]

WAITING: dict[str, Call] = {
    "take_queues": lambda c, waiting, worker: take_queues(c, default_window=10),
    "mark_dispatched": lambda c, waiting, worker: mark_dispatched(c, [AttemptId(job_id, 1) for job_id in waiting]),
    "claim": lambda c, waiting, worker: claim(
        c, [AttemptId(job_id, 1) for job_id in waiting], worker_id=worker, worker="host-1"
    ),
    "get_jobs": lambda c, waiting, worker: get_jobs(c, waiting),
    "get_states": lambda c, waiting, worker: get_states(c, waiting),
}
RUNNING: dict[str, Call] = {
    **{
        f"record {status}": lambda c, running, worker, status=status: record(  # type: ignore[misc]
            c, [Ending(AttemptId(job_id, 1), OUTCOMES[status]) for job_id in running]
        )
        for status in (Status.SUCCEEDED, Status.RETRYING, Status.QUEUED)
    },
    "report_progress": lambda c, running, worker: report_progress(
        c, [ProgressReport(AttemptId(job_id, 1), 1, 1.0, None, None, None) for job_id in running]
    ),
    "stop_requests": lambda c, running, worker: stop_requests(c, [AttemptId(job_id, 1) for job_id in running]),
}


@pytest.mark.parametrize("verb", [*WAITING, *RUNNING])
def test_a_plan_made_for_few_jobs_suits_many(
    database: Database, settings: Settings, factory: Factory, verb: str
) -> None:
    worker_id = factory.worker()
    job_ids = factory.submit_all(*(factory.new_job() for _ in range(FEW)))
    if verb in RUNNING:
        for job_id in job_ids:
            factory.claim(job_id, worker_id=worker_id)
    call = (WAITING | RUNNING)[verb]

    # The planner's statistics then: the table has one page.
    with psycopg.connect(settings.require_database_url(), autocommit=True) as autovacuum:
        autovacuum.execute("VACUUM ANALYZE callboard.jobs")

    # In one session: its prepared statements keep the plans that it settled on.
    with database.begin() as connection:
        plan_of(connection, lambda c: call(c, job_ids, worker_id), settled=True)
        factory.submit_all(*(factory.new_job(queue=QUEUE) for _ in range(MANY)))
        plan = plan_of(connection, lambda c: call(c, job_ids, worker_id), settled=False)

    read = [node for node in plan if node.relation == "jobs" or (node.index or "").startswith("jobs_")]
    assert read
    assert sum(node.rows for node in read) <= 10 * FEW, read
    assert "Seq Scan" not in {node.kind for node in read}
