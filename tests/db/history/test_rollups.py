"""The rollups are what a direct count of the history gives, whatever happened, in whatever order it was committed."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast
from uuid import UUID

import psycopg
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as play
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy import Connection, delete, func, insert, select, text, update
from sqlalchemy.engine import make_url

from callboard.db.history.rollups import count_anew, first_hour, follow, freeze, recount_next
from callboard.db.history.rollups.following import VISIBLE_AFTER
from callboard.db.models import history_rollup, history_rollup_pending, history_rollup_state, job_history, metadata
from callboard.db.rules.ids import first_id, new_id
from callboard.db.rules.states import Status
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.db.transitions import AttemptId, Ending, cancel, claim, consume, erase, record, reopen
from tests.support.counted import Key, counted, rolled_up
from tests.support.factory import OUTCOMES, Factory
from tests.support.threads import together

LATE = 60.0
MOST_UNCOMMITTED = 4
TYPES = ("report", "mail")
QUEUES = ("default", "slow")
OWNERS = ("ann", "bob")
KINDS = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES), "queue": st.sampled_from(QUEUES), "owner": st.sampled_from(OWNERS)}
)
TERMINAL = [Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.EXPIRED]


def settle(database: Database, *, visible_after: timedelta = VISIBLE_AFTER) -> None:
    """Follow the history to its end."""
    with database.begin() as connection:
        follow(connection, late=LATE, visible_after=visible_after)
    while recounted(database):
        pass


def recounted(database: Database) -> bool:
    with database.begin() as connection:
        return recount_next(connection)


def check(database: Database) -> None:
    """Compare all rollups with the history; minutes are kept for a day, each owner's groups in them for an hour."""
    with database.begin() as connection:
        now = connection.execute(select(func.now())).scalar_one().replace(minute=0, second=0, microsecond=0)

        def kept(key: Key) -> bool:
            grain, dimension, owner, starts_at, _ = key
            grouped = owner is not None and dimension != "owner"
            return grain != "minute" or starts_at >= now - timedelta(hours=1 if grouped else 25)

        expected = {key: value for key, value in counted(connection).items() if kept(key)}
        actual = {key: value for key, value in rolled_up(connection).items() if kept(key)}
    assert actual == expected


def imported(connection: Connection, ago: timedelta, status: Status = Status.FAILED, **changes: Any) -> UUID:
    """Put a job into the history as an import does, without making its time pending."""
    now: datetime = connection.execute(select(func.now())).scalar_one()
    finished_at = now - ago
    created_at = (finished_at - timedelta(seconds=90)).replace(microsecond=0)
    job_id = UUID(int=first_id(created_at).int | (new_id().int & ((1 << 76) - 1)))
    row = {
        "id": job_id, "created_at": created_at, "type": "report", "queue": "default", "owner": "ann",
        "status": status, "priority": 5, "attempt": 2, "max_retries": 3, "time_limit": 60.0, "payload": {},
        "started_at": created_at + timedelta(seconds=7.5), "attempt_started_at": finished_at - timedelta(seconds=1.25),
        "finished_at": finished_at, **changes,
    }  # fmt: skip
    connection.execute(insert(job_history).values(row))
    return job_id


class Workload(RuleBasedStateMachine):
    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.factory = Factory(database)
        self.done: list[UUID] = []
        self.slow = ExitStack()
        self.uncommitted = 0
        self.unwritten: list[tuple[Connection, UUID]] = []
        with database.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(delete(table))

    @rule(kind=KINDS, status=st.sampled_from(TERMINAL))
    def finish(self, kind: dict[str, str], status: Status) -> None:
        self.done.append(self.factory.in_state(status, **kind))

    @rule(kind=KINDS)
    def finish_after_a_retry(self, kind: dict[str, str]) -> None:
        job_id = self.factory.submit(**kind)
        self.factory.end(self.factory.claim(job_id), OUTCOMES[Status.QUEUED])
        self.factory.end(self.factory.claim(job_id, 2), OUTCOMES[Status.SUCCEEDED])
        self.done.append(job_id)

    @precondition(lambda self: self.uncommitted < MOST_UNCOMMITTED)
    @rule(kind=KINDS)
    def finish_and_commit_late(self, kind: dict[str, str]) -> None:
        self.uncommitted += 1
        job_id = self.factory.submit(**kind)
        self.done.append(job_id)
        cancel(self.slow.enter_context(self.database.begin()), job_id)

    @precondition(lambda self: self.uncommitted < MOST_UNCOMMITTED)
    @rule(kind=KINDS)
    def begin_to_finish(self, kind: dict[str, str]) -> None:
        self.uncommitted += 1
        connection = self.slow.enter_context(self.database.begin())
        connection.execute(select(func.now()))
        self.unwritten.append((connection, self.factory.submit(**kind)))

    @precondition(lambda self: self.unwritten)
    @rule()
    def finish_at_last(self) -> None:
        connection, job_id = self.unwritten.pop()
        cancel(connection, job_id)
        self.done.append(job_id)

    @precondition(lambda self: self.uncommitted)
    @rule()
    def commit_what_is_late(self) -> None:
        self.slow.close()
        self.uncommitted = 0
        self.unwritten.clear()

    @rule(kind=KINDS, status=st.sampled_from(TERMINAL), minutes=st.integers(0, 5 * 24 * 60))
    def bring_in(self, kind: dict[str, str], status: Status, minutes: int) -> None:
        with self.database.begin() as connection:
            ago = timedelta(minutes=minutes)
            self.done.append(imported(connection, ago, status, **kind))
            at = connection.execute(select(func.now())).scalar_one() - ago
            count_anew(connection, at, at)

    @precondition(lambda self: self.done)
    @rule(data=st.data())
    def queue_again(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(self.done))
        with self.database.begin() as connection:
            reopened = reopen(connection, job_id)
        if reopened and data.draw(st.booleans()):
            with self.database.begin() as connection:
                cancel(connection, job_id)

    @precondition(lambda self: self.done)
    @rule(data=st.data(), how=st.sampled_from([erase, consume]))
    def erase(self, data: st.DataObject, how: Any) -> None:
        with self.database.begin() as connection:
            how(connection, data.draw(st.sampled_from(self.done)))

    @rule()
    def follow(self) -> None:
        with self.database.begin() as connection:
            follow(connection, late=LATE, visible_after=timedelta(0))

    @rule()
    def recount(self) -> None:
        recounted(self.database)

    def teardown(self) -> None:
        self.slow.close()
        # Each run is over within seconds: late commits must be found by their transactions, not by seconds added.
        settle(self.database, visible_after=timedelta(0))
        check(self.database)


def test_rollups_equal_a_direct_count(database: Database) -> None:
    options = settings(max_examples=8, stateful_step_count=20, phases=[Phase.explicit, Phase.reuse, Phase.generate])
    play(lambda: Workload(database), settings=options)  # type: ignore[arg-type]  # a function that makes one will do


def test_what_is_committed_hours_late_is_counted(database: Database, factory: Factory) -> None:
    job_id, other = factory.submit(), factory.submit()
    with ExitStack() as stack:
        slow = stack.enter_context(database.begin())
        cancel(slow, job_id)
        with database.begin() as connection:
            cancel(connection, other)
        settle(database)
        # Two hours pass: the state is as old as that, and so is the job that is not committed yet.
        ages = timedelta(hours=2)
        slow.execute(update(job_history).values(finished_at=job_history.c.finished_at - ages))
        with database.begin() as connection:
            connection.execute(
                text(
                    "UPDATE callboard.history_rollup_state SET running = (SELECT jsonb_object_agg(key, "
                    "to_char(value::text::timestamptz - interval '2 hours', 'YYYY-MM-DD\"T\"HH24:MI:SS.US+00:00')) "
                    "FROM jsonb_each_text(running))"
                )
            )
        settle(database)
        settle(database)
    settle(database)
    check(database)


def followed(database: Database, *, late: float = LATE) -> timedelta:
    """Follow the history; return how far before now the next call begins."""
    with database.begin() as connection:
        follow(connection, late=late)
        now_to_then = select(func.now() - history_rollup_state.c.followed_at)
        return cast("timedelta", connection.execute(now_to_then).scalar_one())


def test_minutes_in_which_nothing_can_end_any_more_are_not_counted_again(database: Database) -> None:
    assert followed(database) < timedelta(seconds=LATE / 2)


def test_where_activities_are_not_tracked_transactions_may_have_begun_long_ago(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(text("SET LOCAL track_activities = off"))
        assert followed(database) == timedelta(seconds=LATE)
    assert followed(database) < timedelta(seconds=LATE)


def test_the_sessions_of_other_users_are_seen_with_pg_read_all_stats(database: Database, settings: Settings) -> None:
    url, name = settings.require_database_url(), f"dispatcher_{secrets.token_hex(4)}"
    user = sql.Identifier(name)
    with psycopg.connect(url, autocommit=True) as worker:
        worker.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'secret'").format(user))
        worker.execute(sql.SQL("GRANT USAGE ON SCHEMA callboard TO {}").format(user))
        worker.execute(sql.SQL("GRANT ALL ON ALL TABLES IN SCHEMA callboard TO {}").format(user))
        worker.execute(sql.SQL("GRANT ALL ON ALL SEQUENCES IN SCHEMA callboard TO {}").format(user))
        own = make_url(url).set(username=name, password="secret").render_as_string(hide_password=False)
        dispatcher = Database(Settings(database_url=SecretStr(own)), role="test")
        try:
            assert followed(dispatcher) == timedelta(seconds=LATE)
            worker.execute(sql.SQL("GRANT pg_read_all_stats TO {}").format(user))
            assert followed(dispatcher) < timedelta(seconds=LATE)
        finally:
            dispatcher.close()
            worker.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(user))


def test_a_transaction_that_has_begun_and_not_written_yet_is_waited_for(database: Database) -> None:
    with database.begin() as slow:
        began = slow.execute(select(func.now())).scalar_one()
        with database.begin() as connection:
            follow(connection, late=LATE, visible_after=timedelta(0))
            assert connection.execute(select(history_rollup_state.c.followed_at)).scalar_one() == began
        # Not for longer than ``late``.
        assert followed(database, late=0.0) == timedelta(0)


def test_a_clock_that_was_set_back_does_not_hide_what_was_running(database: Database, factory: Factory) -> None:
    job_id = factory.submit()
    assert followed(database) < timedelta(seconds=LATE)
    with database.begin() as connection:
        ahead = history_rollup_state.c.followed_at + timedelta(hours=1)
        connection.execute(update(history_rollup_state).values(followed_at=ahead))
    with database.begin() as slow:
        cancel(slow, job_id)
        began = slow.execute(select(func.now())).scalar_one()
        factory.submit()  # a snapshot has none among those that run who began after all that have ended
        followed(database)
        with database.begin() as connection:
            running = connection.execute(select(history_rollup_state.c.running)).scalar_one()
    assert running
    assert all(datetime.fromisoformat(since) <= began for since in running.values())
    settle(database)
    check(database)


def test_two_that_follow_at_once_count_once(database: Database, factory: Factory) -> None:
    for status in TERMINAL:
        factory.in_state(status)
    together(*[partial(settle, database)] * 4)
    check(database)


def test_what_is_cut_off_is_done_again(database: Database, factory: Factory) -> None:
    factory.in_state(Status.SUCCEEDED)
    for step in (partial(follow, late=LATE), recount_next):
        with database.begin() as connection:
            step(connection)
            connection.rollback()
    settle(database)
    check(database)


@pytest.mark.parametrize("hours", [0, 5, 100])
def test_a_job_that_is_reopened_while_its_hour_is_counted(database: Database, hours: int) -> None:
    with database.begin() as connection:
        job_id = imported(connection, timedelta(hours=hours))
    settle(database)
    with database.begin() as person:
        assert reopen(person, job_id)
        # Counted while the job is still there for everybody else.
        with database.begin() as connection:
            moment = datetime.now(UTC) - timedelta(hours=hours)
            count_anew(connection, moment, moment)
        settle(database)
    settle(database)
    check(database)


def test_frozen_hours_keep_their_numbers(database: Database) -> None:
    with database.begin() as connection:
        for days in (1, 4):
            imported(connection, timedelta(days=days))
    settle(database)
    with database.begin() as connection:
        now = connection.execute(select(func.now())).scalar_one()
        before = rolled_up(connection)
        freeze(connection, now - timedelta(days=3))
        connection.execute(delete(job_history).where(job_history.c.finished_at < now - timedelta(days=3)))
        oldest = first_hour(connection)
        assert oldest is not None
        count_anew(connection, oldest, now)
    settle(database)
    with database.begin() as connection:
        assert rolled_up(connection) == before


def test_a_day_has_the_hours_that_were_counted_before_it_was_frozen(database: Database) -> None:
    with database.begin() as connection:
        now: datetime = connection.execute(select(func.now())).scalar_one()
        noon = (now - timedelta(days=4)).replace(hour=12, minute=0, second=0, microsecond=0)
        for moment in (noon, noon + timedelta(hours=3)):
            imported(connection, now - moment)
            count_anew(connection, moment, moment)
    assert recounted(database)  # the later one
    with database.begin() as connection:
        freeze(connection, noon + timedelta(days=1))
    settle(database)

    with database.begin() as connection:
        shown = select(history_rollup.c.grain, history_rollup.c.jobs).where(
            history_rollup.c.dimension == "total", history_rollup.c.owner.is_(None)
        )
        assert {tuple(row) for row in connection.execute(shown)} == {("hour", 1), ("day", 1)}


def test_rows_that_the_history_does_not_have_go(database: Database) -> None:
    with database.begin() as connection:
        imported(connection, timedelta(days=3))
    settle(database)
    with database.begin() as connection:
        connection.execute(delete(job_history))
        connection.execute(update(history_rollup).values(jobs=7))
        oldest = first_hour(connection)
        assert oldest is not None
        count_anew(connection, oldest, datetime.now(UTC))
    settle(database)
    with database.begin() as connection:
        assert connection.execute(select(func.count()).select_from(history_rollup)).scalar_one() == 0


def test_an_idle_system_leaves_nothing_behind(database: Database) -> None:
    for _ in range(3):
        settle(database)
    with database.begin() as connection:
        assert connection.execute(select(func.count()).select_from(history_rollup_pending)).scalar_one() == 0
        assert connection.execute(select(func.count()).select_from(history_rollup_state)).scalar_one() == 1


def test_recording_an_end_writes_nothing_for_the_rollups(database: Database, factory: Factory) -> None:
    worker_id, job_id = factory.worker(), factory.submit()
    with database.begin() as connection:
        claim(connection, [AttemptId(job_id, 1)], worker_id=worker_id, worker="host-1")
        record(connection, [Ending(AttemptId(job_id, 1), OUTCOMES[Status.SUCCEEDED])])
        for table in (history_rollup, history_rollup_pending, history_rollup_state):
            assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 0
