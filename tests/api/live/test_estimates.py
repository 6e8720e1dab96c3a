"""When a job is likely to start and to be done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.api.live.estimates import estimate
from callboard.db.fleet.pace import Pace, QueuePace, Waiting, read_pace
from callboard.db.history.rollups import follow, recount_next
from callboard.db.rules.states import Status
from callboard.db.sql.engine import Database
from tests.support.factory import Factory
from tests.support.serving import Served

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)


def row(status: Status, **changes: Any) -> dict[str, Any]:
    return {
        "type": "report.build",
        "queue": "reports",
        "status": status,
        "priority": 5,
        "attempt": 1,
        "progress": None,
        "created_at": NOW,
        "due_at": None,
        "started_at": None,
        **changes,
    }


def pace(*waiting: Waiting, threads: int = 2, mean_run: float | None = 10.0) -> Pace:
    return Pace(runs={"report.build": 30.0}, queues={"reports": QueuePace(mean_run, threads, waiting)})


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("job", "known", "expected"),
    [
        # Nobody before it.
        (row(Status.QUEUED), pace(), (0, 30)),
        # Six of its own priority, submitted over a minute, it after half of them; four before all of these.
        (
            row(Status.QUEUED, created_at=ago(30)),
            pace(Waiting(5, 6, ago(60), ago(0)), Waiting(9, 4, ago(9), ago(1)), Waiting(0, 500, ago(900), ago(0))),
            (35, 65),
        ),
        (row(Status.QUEUED), pace(threads=0), None),
        (row(Status.QUEUED), pace(Waiting(9, 4, ago(9), ago(1)), mean_run=None), None),
        (row(Status.QUEUED, queue="new"), pace(), None),
        (row(Status.QUEUED, type="new.type"), pace(), None),
        (row(Status.SCHEDULED, due_at=ago(-90)), pace(), (90, 120)),
        (row(Status.RETRYING, due_at=ago(1)), pace(), (0, 30)),
        (row(Status.BLOCKED), pace(), None),
        (row(Status.RUNNING, started_at=ago(10)), pace(), (0, 20)),
        (row(Status.RUNNING, started_at=ago(40)), pace(), (0, 0)),
        (row(Status.RUNNING, started_at=ago(40), progress='{"percent": 80}'), pace(), (0, 10)),
        (row(Status.RUNNING, started_at=ago(40), progress='{"percent": 80}', type="new.type"), pace(), (0, 10)),
        (row(Status.RUNNING, started_at=ago(400), attempt=3, progress='{"percent": 50}'), pace(), (0, 15)),
        (row(Status.RUNNING, started_at=ago(40), progress='{"percent": null}', type="new.type"), pace(), None),
    ],
)
def test_an_estimate(job: dict[str, Any], known: Pace, expected: tuple[float, float] | None) -> None:
    wanted = None if expected is None else {"starts_in": expected[0], "finishes_in": expected[1]}
    assert estimate(job, known, now=NOW) == wanted


SECONDS = st.floats(-1e6, 1e6)


@given(
    status=st.sampled_from(Status),
    attempt=st.integers(1, 3),
    percent=st.none() | st.floats(0, 100),
    started=SECONDS,
    due=SECONDS,
    oldest=SECONDS,
    newest=SECONDS,
    jobs=st.integers(1, 10**7),
    threads=st.integers(0, 1000),
)
def test_no_estimate_lies_in_the_past(
    status: Status, attempt: int, percent: float | None, started: float, due: float, oldest: float, newest: float,
    jobs: int, threads: int,
) -> None:  # fmt: skip
    progress = f'{{"percent": {"null" if percent is None else percent}}}'
    job = row(status, attempt=attempt, progress=progress, started_at=ago(started), due_at=ago(due))
    found = estimate(job, pace(Waiting(5, jobs, ago(oldest), ago(newest)), threads=threads), now=NOW)
    assert found is None or 0 <= found["starts_in"] <= found["finishes_in"]


def test_the_pace_is_that_of_rollups_workers_and_queues(database: Database, factory: Factory) -> None:
    for _ in range(3):
        factory.in_state(Status.SUCCEEDED)
    waiting = [factory.submit(priority=priority) for priority in (5, 5, 9)]
    with database.begin() as connection:
        follow(connection, late=60)
    more = True
    while more:
        with database.begin() as connection:
            more = recount_next(connection)
    with database.begin() as connection:
        found = read_pace(connection)
    queue = found.queues["default"]
    assert 0 < found.runs["test.job"] < 60
    assert queue.mean_run is not None
    assert 0 <= queue.mean_run < 60
    assert queue.threads == 1, "the factory's worker has one"
    assert {(each.priority, each.jobs) for each in queue.waiting} == {(5, 2), (9, 1)}
    assert len(waiting) == 3


def test_a_job_shows_its_estimate_until_it_is_done(api: Served, factory: Factory) -> None:
    done = factory.in_state(Status.SUCCEEDED)
    assert api.get(f"/v1/jobs/{done}")["estimate"] is None
    # Nothing of its type is in the rollups yet, so nothing tells.
    assert api.get(f"/v1/jobs/{factory.submit()}")["estimate"] is None
    assert "estimate" not in api.get("/v1/jobs")["items"][0]
