"""Results that are kept for a time: which of them expire, and that finding them costs what expires."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select, text, update

from callboard.db.models import RESULT_EXPIRY, job_history
from callboard.db.rules.states import Status
from callboard.db.sql.engine import Database
from callboard.db.transitions import expire_results
from tests.support.factory import Factory


def expired(database: Database, limit: int = 100) -> set[UUID]:
    with database.begin() as connection:
        return expire_results(connection, limit=limit)


def age(database: Database, seconds: float) -> None:
    """Let all that has finished have finished earlier."""
    with database.begin() as connection:
        earlier = job_history.c.finished_at - timedelta(seconds=seconds)
        connection.execute(update(job_history).values(finished_at=earlier))


def test_a_result_goes_once_its_time_has_passed_and_the_job_stays(database: Database, factory: Factory) -> None:
    short = factory.in_state(Status.SUCCEEDED, result_ttl=60.0)
    kept = [
        factory.in_state(Status.SUCCEEDED, result_ttl=7200.0),
        factory.in_state(Status.SUCCEEDED),
        # What failed may be run again, which needs its payload.
        factory.in_state(Status.FAILED, result_ttl=60.0),
    ]
    assert expired(database) == set()
    age(database, 61)

    assert expired(database) == {short}
    assert expired(database) == set()

    columns = (job_history.c.id, job_history.c.payload, job_history.c.result, job_history.c.erased_at)
    with database.begin() as connection:
        rows = {row.id: row for row in connection.execute(select(*columns))}
        grown = connection.execute(select(job_history.c.revision).where(job_history.c.id == short)).scalar_one()
    assert (rows[short].payload, rows[short].result) == (None, None)
    assert rows[short].erased_at is not None
    assert all(rows[job_id].payload == {"n": 1} and rows[job_id].erased_at is None for job_id in kept)
    assert grown > 0, "whoever follows the job learns of it"


def test_no_call_expires_more_than_its_limit_the_oldest_first(database: Database, factory: Factory) -> None:
    longer, *short = [factory.in_state(Status.SUCCEEDED, result_ttl=ttl) for ttl in (20.0, 0.0, 0.0)]
    age(database, 21)

    assert expired(database, 2) == set(short)
    assert expired(database, 2) == {longer}


def test_results_that_are_kept_cost_nothing(database: Database, factory: Factory) -> None:
    factory.in_state(Status.SUCCEEDED, result_ttl=0.0)
    with database.begin() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        plan = connection.execute(
            text(
                f"EXPLAIN SELECT id FROM callboard.job_history WHERE result_ttl IS NOT NULL AND result IS NOT NULL "
                f"AND {RESULT_EXPIRY} <= now() AT TIME ZONE 'UTC' ORDER BY {RESULT_EXPIRY} LIMIT 10"
            )
        ).scalars()
        lines = list(plan)
        partitions = connection.execute(
            select(func.count()).select_from(func.pg_partition_tree("callboard.job_history")).where(text("isleaf"))
        ).scalar_one()
    assert sum("Index Scan using" in line for line in lines) == partitions
    assert not [line for line in lines if "->  Sort" in line or "Filter" in line]
