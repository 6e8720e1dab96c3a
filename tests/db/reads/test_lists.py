"""Lists page by page: every matching job is shown once, in order, however few jobs a page reads."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select

from callboard.db.models import job_history, jobs
from callboard.db.reads.job_filter import JobFilter
from callboard.db.reads.lists import JobCount, JobPage, count_jobs, list_jobs
from callboard.db.rules.ids import created_at_of
from callboard.db.rules.states import Status
from callboard.db.sql.engine import Database
from callboard.db.transitions import cancel, erase
from tests.support.factory import Factory

FILTERS: dict[str, dict[str, Any]] = {
    "all": {},
    "owner": {"owner": "ann"},
    "type": {"type": "mail"},
    "queue": {"queue": "slow"},
    "failed or cancelled": {"statuses": frozenset({Status.FAILED, Status.CANCELLED})},
    "cancelled": {"statuses": frozenset({Status.CANCELLED})},
    "live": {"statuses": frozenset({Status.QUEUED, Status.RUNNING})},
    "live and cancelled, of a type": {"statuses": frozenset({Status.QUEUED, Status.CANCELLED}), "type": "mail"},
    "tag": {"tags": {"n": "1"}},
    "tag that no job has": {"tags": {"n": "100"}},
    "owner and type": {"owner": "ann", "type": "mail"},
    "owner, type, queue and status": {
        "owner": "bob", "type": "mail", "queue": "slow", "statuses": frozenset({Status.CANCELLED}),
    },
}  # fmt: skip


@pytest.fixture
def crowd(database: Database, factory: Factory) -> list[dict[str, Any]]:
    """The views of jobs of all kinds, newest first; half of them are finished, and some of these erased."""
    random = Random(1)
    new = [
        factory.new_job(
            type=random.choice(("mail", "report")), queue=random.choice(("default", "slow")),
            owner=random.choice(("ann", "bob")), tags=b'{"n": "%d"}' % random.randrange(8),
        )
        for _ in range(80)
    ]  # fmt: skip
    job_ids = factory.submit_all(*new)
    with database.begin() as connection:
        for job_id in job_ids:
            if random.random() < 0.5:
                cancel(connection, job_id)
                if random.random() < 0.2:
                    erase(connection, job_id)
        found = [
            dict(row)
            for table in (jobs, job_history)
            for row in connection.execute(select(table)).mappings()
            if not row.get("deleted")
        ]
    return sorted(found, key=lambda row: row["id"], reverse=True)


def fits(row: dict[str, Any], job_filter: JobFilter) -> bool:
    plain = ("type", "queue", "owner", "parent_id")
    return (
        all(getattr(job_filter, name) in {None, row[name]} for name in plain)
        and (not job_filter.statuses or row["status"] in job_filter.statuses)
        and (job_filter.tags or {}).items() <= row["tags"].items()
        and (job_filter.created_after is None or row["created_at"] >= job_filter.created_after)
        and (job_filter.created_before is None or row["created_at"] < job_filter.created_before)
    )


def pages(database: Database, job_filter: JobFilter, *, limit: int, scan_limit: int) -> list[JobPage]:
    found: list[JobPage] = []
    before: UUID | None = None
    while not found or before is not None:
        with database.begin() as connection:
            found.append(list_jobs(connection, job_filter, limit=limit, before=before, scan_limit=scan_limit))
        before = found[-1].following
    return found


@pytest.mark.parametrize("name", FILTERS)
def test_all_pages_are_the_list(database: Database, crowd: list[dict[str, Any]], name: str) -> None:
    job_filter = JobFilter(**FILTERS[name])
    shown = [row["id"] for row in crowd if fits(row, job_filter)]

    for limit, scan_limit in ((1, 1), (3, 7), (100, 10), (7, 1000)):
        found = pages(database, job_filter, limit=limit, scan_limit=scan_limit)
        assert [row["id"] for page in found for row in page.rows] == shown
        assert max(len(page.rows) for page in found) <= limit


def test_times_within_a_millisecond_are_kept_to(database: Database, crowd: list[dict[str, Any]]) -> None:
    middle: datetime = crowd[40]["created_at"]
    for off in (0, 1, 999, 1000):
        time = middle + timedelta(microseconds=off)
        for job_filter in (JobFilter(created_after=time), JobFilter(created_before=time)):
            found = [row["id"] for page in pages(database, job_filter, limit=30, scan_limit=9) for row in page.rows]
            assert found == [row["id"] for row in crowd if fits(row, job_filter)]


def test_the_part_that_reaches_furthest_is_searched(database: Database, factory: Factory) -> None:
    rare = factory.in_state(Status.CANCELLED, type="rare", owner="ann")
    for _ in range(6):
        factory.in_state(Status.CANCELLED, owner="ann")
    with database.begin() as connection:
        page = list_jobs(connection, JobFilter(owner="ann", type="rare"), limit=5, scan_limit=3)

    assert [row["id"] for row in page.rows] == [rare]
    assert page.following is None


def test_a_page_that_holds_none_is_not_the_last(database: Database, factory: Factory) -> None:
    for number in range(5):
        factory.in_state(Status.CANCELLED, tags=b'{"n": "%d"}' % number)
    with database.begin() as connection:
        first = list_jobs(connection, JobFilter(tags={"n": "0"}), limit=5, scan_limit=2)
        assert (list(first.rows), first.following is None) == ([], False)
        # Whatever comes or goes meanwhile.
        connection.execute(delete(job_history).where(job_history.c.id == first.following))
        second = list_jobs(connection, JobFilter(tags={"n": "0"}), limit=5, before=first.following, scan_limit=2)
        assert [row["tags"] for row in second.rows] == [{"n": "0"}]
        assert created_at_of(second.rows[0]["id"]) == second.rows[0]["created_at"]


@pytest.mark.parametrize("name", FILTERS)
def test_a_count_is_that_of_all_pages(database: Database, crowd: list[dict[str, Any]], name: str) -> None:
    job_filter = JobFilter(**FILTERS[name])
    expected = sum(fits(row, job_filter) for row in crowd)
    with database.begin() as connection:
        assert count_jobs(connection, job_filter) == JobCount(expected, more=False)


def test_a_count_says_where_it_ended(database: Database, crowd: list[dict[str, Any]]) -> None:
    with database.begin() as connection:
        assert count_jobs(connection, JobFilter(), most=5) == JobCount(5, more=True)
        of_tag = count_jobs(connection, JobFilter(tags={"n": "100"}), most=5)
    assert of_tag == JobCount(0, more=True), "among the newest there is none, but it has not looked at all"
