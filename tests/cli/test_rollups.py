"""``callboard rollups``, on a real database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

import pytest
from sqlalchemy import delete, func, select, update

from callboard.db.models import history_rollup, job_history
from callboard.db.rules.states import Status
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from tests.support.counted import counted, rolled_up
from tests.support.factory import Factory


class Ran(Protocol):
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def rollups(run: Run, settings: Settings) -> Run:
    """Run ``callboard rollups`` on the test's database."""
    url = settings.require_database_url()
    return lambda *arguments: run("rollups", *arguments, CALLBOARD_DATABASE_URL=url)


def test_a_rebuild_makes_the_rollups_what_the_history_says(rollups: Run, database: Database, factory: Factory) -> None:
    old, _ = (factory.in_state(status) for status in (Status.FAILED, Status.SUCCEEDED))
    with database.begin() as connection:
        past = func.now() - timedelta(days=3)
        moved = {"finished_at": past, "created_at": past, "started_at": past, "attempt_started_at": past}
        connection.execute(update(job_history).where(job_history.c.id == old).values(moved))

    ran = rollups("rebuild", "--from", "2020-01-01", "--to", "2020-01-01T01:30:00")
    assert (ran.code, ran.err) == (0, "2 hours counted.\n")
    assert rollups("rebuild").code == 0

    with database.begin() as connection:
        wanted = counted(connection)
        got = rolled_up(connection)
        # Minutes are kept for two days.
        assert got == {key: value for key, value in wanted.items() if key in got or key[0] != "minute"}
        connection.execute(update(history_rollup).values(jobs=77))
        connection.execute(delete(job_history).where(job_history.c.id == old))
    assert rollups("rebuild").code == 0
    with database.begin() as connection:
        assert connection.execute(select(func.max(history_rollup.c.jobs))).scalar_one() == 1


def test_an_empty_history_is_counted_at_once(rollups: Run, database: Database) -> None:
    ran = rollups("rebuild")
    assert (ran.code, ran.err) == (0, "0 hours counted.\n")


def test_times_that_do_not_fit_are_refused(rollups: Run, database: Database) -> None:
    ran = rollups("rebuild", "--from", "2026-01-02", "--to", "2026-01-01")
    assert ran.code == 2
    assert "--from" in ran.err
    assert rollups("rebuild", "--from", "yesterday").code == 2
