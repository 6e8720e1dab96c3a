"""Retention: what goes by rules, what stays, and that nobody is disturbed."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text, update
from structlog.testing import capture_logs

from callboard.actors.maintenance.leader import leads
from callboard.actors.maintenance.retention import Retention
from callboard.db.attempt.progress import ProgressReport, report_progress
from callboard.db.errors import Unavailable
from callboard.db.history.retention import (
    ANY,
    START,
    Rule,
    Rules,
    Sweep,
    drop_month,
    list_rules,
    set_rule,
    sweep,
    unset_rule,
)
from callboard.db.history.retention.rules import FOR_EVER
from callboard.db.models import files, job_history
from callboard.db.reads.jobs import get_jobs, list_attempts
from callboard.db.rules.attempts import AttemptId
from callboard.db.rules.ids import first_id, new_id
from callboard.db.rules.states import TERMINAL, Status
from callboard.db.schema.partitions import ensure_months
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from tests.support.databases import Databases, settings_of
from tests.support.factory import OUTCOMES, Factory

OLD = datetime.now(UTC).replace(day=10, hour=0, minute=0, second=0, microsecond=0) - timedelta(days=200)
MONTH = f"job_history_{OLD:%Y_%m}"


@pytest.fixture
def settings(databases: Databases, postgres: str) -> Iterator[Settings]:
    """A database of its own: partitions are dropped here."""
    with databases.migrated(postgres) as url:
        yield settings_of(url)


@pytest.fixture(autouse=True)
def months(database: Database) -> None:
    with database.begin() as connection:
        ensure_months(connection, OLD, datetime.now(UTC))


def id_at(at: datetime) -> UUID:
    return UUID(int=first_id(at).int | new_id().int & ((1 << 80) - 1))


def finished(
    database: Database,
    factory: Factory,
    status: Status = Status.SUCCEEDED,
    *,
    age: timedelta | None = None,
    **new: object,
) -> UUID:
    """Make a job of the old month that finished right after it was made, or ``age`` ago."""
    job_id = factory.in_state(status, id=id_at(OLD), **new)
    at = OLD + timedelta(seconds=1) if age is None else datetime.now(UTC) - age
    with database.begin() as connection:
        connection.execute(update(job_history).where(job_history.c.id == job_id).values(finished_at=at))
    return job_id


def rule(database: Database, job_type: str = ANY, outcome: str = ANY, days: int | None = 90) -> None:
    with database.begin() as connection:
        set_rule(connection, Rule(job_type, outcome, days))


def drop(database: Database) -> bool:
    """Drop what may go; whether the old month went."""
    more = True
    while more:
        with database.begin() as connection:
            more = drop_month(connection)
    return not is_there(database)


def is_there(database: Database, name: str = MONTH) -> bool:
    with database.begin() as connection:
        return bool(
            connection.execute(
                text("SELECT to_regclass('callboard.' || :name) IS NOT NULL"), {"name": name}
            ).scalar_one()
        )


def exists(database: Database, job_id: UUID) -> bool:
    with database.begin() as connection:
        return bool(get_jobs(connection, [job_id]))


def swept(database: Database, limit: int = 3) -> None:
    position: Sweep | None = START
    while position is not None:
        with database.begin() as connection:
            position = sweep(connection, position, limit=limit)


TYPES = st.sampled_from(["a", "b", ANY])
OUTCOMES_OF_RULES = st.sampled_from([ANY, *sorted(TERMINAL)])


@given(st.dictionaries(st.tuples(TYPES, OUTCOMES_OF_RULES), st.one_of(st.none(), st.integers(1, 5))))
def test_the_closest_rule_counts(days: dict[tuple[str, str], int | None]) -> None:
    rules = Rules([Rule(*key, value) for key, value in days.items()])

    for job_type in ("a", "c"):
        for outcome in TERMINAL:
            keys = [(job_type, outcome), (job_type, ANY), (ANY, outcome), (ANY, ANY)]
            closest = next((days[key] for key in keys if key in days), None)
            assert rules.keep(job_type, outcome) == (FOR_EVER if closest is None else timedelta(days=closest))


def test_without_a_rule_history_stays(database: Database, factory: Factory) -> None:
    job_id = finished(database, factory)

    assert not drop(database)
    swept(database)
    assert exists(database, job_id)
    rule(database, days=None)
    assert not drop(database)
    assert exists(database, job_id)


def test_a_month_goes_when_every_rule_lets_it(database: Database, factory: Factory) -> None:
    job_id = finished(database, factory)
    younger = factory.in_state(Status.SUCCEEDED)
    rule(database)

    assert drop(database)

    assert not is_there(database, MONTH.replace("history", "attempts"))
    assert not is_there(database, MONTH.replace("history", "progress"))
    assert not exists(database, job_id)
    assert exists(database, younger)
    with database.begin() as connection:
        said = connection.execute(
            text("SELECT actor, subject FROM callboard.audit_log WHERE action = 'history.drop' ORDER BY at, id")
        ).all()
        frozen = connection.execute(text("SELECT frozen_before FROM callboard.history_rollup_state")).scalar_one()
    assert said[0].actor == "system:retention"
    assert re.fullmatch(rf"{OLD:%Y-%m}: .*\d MiB", said[0].subject)
    assert frozen >= OLD
    assert is_there(database, f"job_history_{datetime.now(UTC):%Y_%m}")


@pytest.mark.parametrize(
    ("job_type", "outcome", "days"),
    [("test.job", ANY, 300), ("test.job", "failed", None), (ANY, "failed", 250), ("test.job", ANY, None)],
)
def test_a_longer_rule_keeps_the_month(
    database: Database, factory: Factory, job_type: str, outcome: str, days: int | None
) -> None:
    finished(database, factory, Status.FAILED)
    rule(database)
    rule(database, job_type, outcome, days)

    assert not drop(database)
    assert is_there(database)
    with database.begin() as connection:
        assert unset_rule(connection, job_type, outcome)
        assert not unset_rule(connection, job_type, outcome)
        assert list_rules(connection) == [Rule(ANY, ANY, 90)]
    assert drop(database)


def test_a_rule_for_what_a_month_does_not_have_keeps_nothing(database: Database, factory: Factory) -> None:
    finished(database, factory)
    rule(database, "test.job", "succeeded", 90)

    assert drop(database)


def test_a_job_that_finished_lately_keeps_its_month(database: Database, factory: Factory) -> None:
    finished(database, factory)
    late = finished(database, factory, age=timedelta(days=60))
    rule(database)

    assert not drop(database)
    assert exists(database, late)


def test_a_job_that_lives_keeps_its_month_and_is_not_disturbed(database: Database, factory: Factory) -> None:
    finished(database, factory)
    claimed = factory.claim(factory.submit(id=id_at(OLD)))
    with database.begin() as connection:
        report_progress(connection, [ProgressReport(AttemptId(claimed.id, 1), 1, 1.0, None, None, None)])
    rule(database)

    assert not drop(database)
    factory.end(claimed, OUTCOMES[Status.SUCCEEDED])
    with database.begin() as connection:
        assert get_jobs(connection, [claimed.id])[claimed.id]["status"] == "succeeded"
        assert len(list_attempts(connection, claimed.id)) == 1
    assert not drop(database), "it finished just now"


def test_jobs_run_while_a_month_is_dropped(database: Database, factory: Factory) -> None:
    finished(database, factory)
    rule(database)
    stop, slowest, done = threading.Event(), [0.0], [0]

    def work() -> None:
        while not stop.is_set():
            start = time.monotonic()
            factory.in_state(Status.SUCCEEDED)
            slowest[0] = max(slowest[0], time.monotonic() - start)
            done[0] += 1

    worker = threading.Thread(target=work)
    worker.start()
    try:
        while not drop_or_wait(database):
            pass
    finally:
        stop.set()
        worker.join()

    assert not is_there(database)
    assert done[0] > 0
    with database.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM callboard.job_history")).scalar_one() == done[0]


def drop_or_wait(database: Database) -> bool:
    try:
        return drop(database)
    except Unavailable:
        return False


def test_a_report_that_runs_long_is_waited_for(database: Database, factory: Factory) -> None:
    finished(database, factory)
    rule(database)
    with database.begin() as analyst:
        analyst.execute(text("SELECT count(*) FROM callboard.job_history"))
        start = time.monotonic()
        with pytest.raises(Unavailable, match="lock timeout"):
            drop(database)
        assert time.monotonic() - start < 5
        factory.in_state(Status.SUCCEEDED)
    assert drop(database)


def test_rows_of_output_files_go_first(database: Database, factory: Factory) -> None:
    job_id = finished(database, factory)
    with database.begin() as connection:
        file_id = new_id()
        connection.execute(
            files.insert().values(
                id=file_id, owner="owner", name="a", size=1, sha256=b"0" * 32, media_type="a/b", created_at=OLD
            )
        )
        connection.execute(
            text("INSERT INTO callboard.job_files (file_id, job_id, attempt) VALUES (:file, :job, 1)"),
            {"file": file_id, "job": job_id},
        )
    rule(database)
    assert drop(database)

    with database.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM callboard.files")).scalar_one() == 0
    assert not is_there(database)


def test_a_short_rule_in_a_month_that_stays_erases(database: Database, factory: Factory) -> None:
    short = [finished(database, factory, type="short") for _ in range(7)]
    failed = finished(database, factory, Status.FAILED, type="short")
    other = finished(database, factory, type="other")
    rule(database, "short", days=30)
    rule(database, "short", "failed", None)

    assert not drop(database)
    swept(database)
    swept(database)

    assert not any(exists(database, job_id) for job_id in short)
    assert exists(database, failed)
    assert exists(database, other)
    with database.begin() as connection:
        rows = connection.execute(text("SELECT deleted, payload FROM callboard.job_history WHERE type = 'short'")).all()
    assert len(rows) == 8
    assert [row.payload for row in rows if row.deleted] == [None] * 7


def test_what_its_month_takes_along_soon_is_not_erased_one_by_one(database: Database, factory: Factory) -> None:
    job_id = finished(database, factory, type="short")
    rule(database, days=220)
    rule(database, "short", days=195)
    swept(database)

    assert exists(database, job_id)


def test_the_duties_drop_and_sweep(database: Database, factory: Factory) -> None:
    finished(database, factory)
    short = finished(database, factory, type="short")
    retention = Retention(database)
    assert (retention.drop(), retention.sweep()) == (None, None)

    rule(database, "short", days=30)
    with capture_logs() as logs:
        while retention.sweep() is not None:
            pass
    assert [line for line in logs if line["event"] == "history_erased"] == [
        {"event": "history_erased", "log_level": "info", "jobs": 1}
    ]
    assert not exists(database, short)
    assert is_there(database)
    rule(database)
    with database.begin() as connection:
        assert leads(connection, "retention drop")
        assert retention.drop() is None, "another process has it"
    with database.begin() as analyst:
        analyst.execute(text("SELECT count(*) FROM callboard.job_history"))
        assert retention.drop() is not None, "it is tried again soon"
    with capture_logs() as logs:
        while retention.drop() is not None:
            pass
    months = [line["month"].split(":")[0] for line in logs if line["event"] == "history_dropped"]
    assert f"{OLD:%Y-%m}" in months
    assert not is_there(database)
