"""The duty that follows the history, as the dispatcher has it."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select

from callboard.actors.maintenance.leader import leads
from callboard.actors.maintenance.rollups import Rollups
from callboard.db.history.rollups import count_anew
from callboard.db.models import history_rollup_pending, job_history
from callboard.db.rules.states import Status
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from tests.support.counted import counted, rolled_up
from tests.support.factory import Factory


def is_right(database: Database) -> bool:
    with database.begin() as connection:
        return rolled_up(connection) == counted(connection)


def test_one_call_counts_what_has_ended(database: Database, settings: Settings, factory: Factory) -> None:
    rollups = Rollups(settings, database)
    for status in (Status.SUCCEEDED, Status.FAILED):
        factory.in_state(status)
        assert rollups.follow() >= settings.maintenance_interval
        assert is_right(database)


def test_while_another_process_leads_nothing_is_done(database: Database, settings: Settings, factory: Factory) -> None:
    factory.in_state(Status.SUCCEEDED)
    with database.begin() as leader:
        assert leads(leader, "rollups")
        assert Rollups(settings, database).follow() == settings.maintenance_interval
        assert not is_right(database)
    Rollups(settings, database).follow()
    assert is_right(database)


def test_a_long_backlog_is_worked_off_call_by_call(database: Database, settings: Settings, factory: Factory) -> None:
    factory.in_state(Status.SUCCEEDED)
    rollups = Rollups(settings, database)
    with database.begin() as connection:
        now = connection.execute(select(func.now())).scalar_one()
        count_anew(connection, now - timedelta(days=20), now)
    calls = 0
    while rollups.follow() == 0:
        calls += 1
        with database.begin() as connection:
            left = connection.execute(select(func.count()).select_from(history_rollup_pending)).scalar_one()
            assert left <= 20 * 24 + 3 - calls, "each call gets further"
    assert is_right(database)
    with database.begin() as connection:
        assert connection.execute(select(func.count()).select_from(job_history)).scalar_one() == 1
