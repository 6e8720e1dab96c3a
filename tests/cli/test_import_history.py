"""``callboard import-history``: the jobs of another table, once, and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from sqlalchemy import func, select

from callboard.db.models import history_rollup, job_history
from callboard.db.reads.jobs import get_jobs
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.db.transitions import reopen


class Ran(Protocol):
    code: int
    out: str
    err: str


Run = Callable[..., Ran]

TABLE = """\
task_id,task_name,state,queued,began,done,tries,answer,trouble
1,mail.send,SUCCESS,2024-03-01 10:00:00,2024-03-01 10:00:02,2024-03-01 10:00:03.5,1,"{""sent"": 2}",
2,mail.send,FAILURE,2024-03-01T11:00:00Z,2024-03-01T11:00:01Z,2024-03-01T11:00:09Z,3,,"Refused: ""no
such"" box"
3,report,SUCCESS,1709294400.25,1709294401,1709294500,,,
4,report,STARTED,2024-03-01 12:00:00,2024-03-01 12:00:01,,,,
5,report,REVOKED,2024-05-01 12:00:00,,2024-05-01 12:10:00,,,
"""
MAPPING = (
    *("--map", "id=task_id", "--map", "type=task_name", "--map", "status=state", "--map", "created_at=queued"),
    *("--map", "started_at=began", "--map", "finished_at=done", "--map", "attempts=tries", "--map", "result=answer"),
    *("--map", "error=trouble", "--status", "SUCCESS=succeeded", "--status", "FAILURE=failed"),
    *("--status", "STARTED=skip", "--status", "REVOKED=cancelled", "--set", "owner=shop"),
)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "tasks.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


@pytest.fixture
def bring_in(run: Run, settings: Settings) -> Run:
    """Import into the test's database."""
    url = settings.require_database_url()
    return lambda *arguments, **more: run("import-history", *map(str, arguments), CALLBOARD_DATABASE_URL=url, **more)


def history(database: Database) -> list[Any]:
    with database.begin() as connection:
        return list(connection.execute(select(job_history).order_by(job_history.c.id)))


def test_finished_jobs_come_in_and_are_counted(bring_in: Run, table: Path, database: Database) -> None:
    ran = bring_in(table, *MAPPING)

    assert (ran.code, "5 rows: 4 jobs imported, 0 were there already, 1 left out." in ran.err) == (0, True)
    sent, refused, reported, revoked = history(database)
    assert (sent.type, sent.status, sent.owner, sent.queue) == ("mail.send", "succeeded", "shop", "default")
    assert (sent.result, sent.error, sent.attempt, sent.tags) == ({"sent": 2}, None, 1, {"imported": "tasks"})
    assert sent.created_at == datetime(2024, 3, 1, 10, tzinfo=UTC)
    assert sent.finished_at == datetime(2024, 3, 1, 10, 0, 3, 500000, UTC)
    assert refused.error == {
        "reason": "exception", "type": "Failed", "message": 'Refused: "no\nsuch" box', "attempt": 3
    }  # fmt: skip
    assert (refused.attempt, refused.attempt_started_at) == (3, None)
    assert reported.created_at == datetime(2024, 3, 1, 12, 0, 0, 250000, UTC)
    assert (revoked.status, revoked.started_at, revoked.attempt) == ("cancelled", None, 0)
    total = select(func.sum(history_rollup.c.jobs)).where(
        history_rollup.c.grain == "hour", history_rollup.c.dimension == "total"
    )
    with database.begin() as connection:
        assert connection.execute(total).scalar_one() == 4


def test_nothing_comes_in_twice(bring_in: Run, table: Path, database: Database) -> None:
    bring_in(table, *MAPPING)
    first = history(database)
    with database.begin() as connection:
        assert reopen(connection, first[1].id)
    with table.open("a", encoding="utf-8") as more:
        more.write("6,report,SUCCESS,2024-05-02 12:00:00,,2024-05-02 12:10:00,,,\n")
    ran = bring_in(table, *MAPPING)

    assert "6 rows: 1 jobs imported, 4 were there already, 1 left out." in ran.err
    assert len(history(database)) == len(first), "one is live again, one is new"
    assert bring_in(table, *MAPPING, "--source", "other").code == 0
    assert len(history(database)) == len(first) + 5, "another table has ids of its own"


def test_a_dry_run_stores_nothing_and_tells_all(bring_in: Run, table: Path, database: Database) -> None:
    with table.open("a", encoding="utf-8") as more:
        more.write(
            "7,report,PENDING,2024-05-02 12:00:00,,2024-05-02 12:10:00,,,\n"
            "8,report,SUCCESS,yesterday,,2024-05-02 12:10:00,,,\n"
            "9,report,SUCCESS,2024-05-02 12:10:00,,2024-05-02 12:00:00,,,\n"
            "10,report,SUCCESS,2024-05-02 12:00:00,,2024-05-02 12:10:00,many,,\n"
            "11,report,SUCCESS,2024-05-02 12:00:00,,2024-05-02 12:10:00,,{,\n"
            ",report,SUCCESS,2024-05-02 12:00:00,,2024-05-02 12:10:00,,,\n"
        )
    ran = bring_in(table, *MAPPING, "--dry-run")

    assert ran.code == 2
    assert "Line 8: status is 'PENDING'; say what it is: --status PENDING=" in ran.err
    assert "Line 9: created_at is 'yesterday'; it must be a time like" in ran.err
    assert "Line 10: finished_at (2024-05-02T12:00:00+00:00) is before created_at" in ran.err
    assert "Line 11: attempts is 'many'; it must be a whole number" in ran.err
    assert "Line 12: result is '{'; it must be JSON" in ran.err
    assert "Line 13: id is empty" in ran.err
    assert "11 rows: 4 jobs, 1 to leave out, 6 that cannot be jobs. Nothing was stored." in ran.err
    assert history(database) == []

    refused = bring_in(table, *MAPPING)
    assert refused.code == 2
    assert "Line 8: status is 'PENDING'" in refused.err
    assert history(database) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--map", "id=task_id"), "There is no column 'type'. Say which it is: --map type=COLUMN"),
        ((*MAPPING, "--map", "worker=host"), "There is no column 'host' for worker. There are: task_id, task_name"),
        ((*MAPPING, "--map", "colour=task_id"), "'colour' is none of id, type"),
        ((*MAPPING, "--status", "SUCCESS"), "'SUCCESS' must be NAME=VALUE"),
        ((*MAPPING, "--timezone", "Mars/Olympus"), "'Mars/Olympus' is no time zone"),
        ((*MAPPING, "--delimiter", ";"), "There is no column 'task_id' for id"),
    ],
)
def test_what_cannot_be_is_refused(
    bring_in: Run, table: Path, database: Database, arguments: tuple[str, ...], message: str
) -> None:
    ran = bring_in(table, *arguments)

    assert ran.code == 2
    assert message in " ".join(ran.err.replace("│", " ").split())
    assert history(database) == []


def test_from_stdin_in_the_zone_of_the_table(bring_in: Run, database: Database) -> None:
    rows = "id\ttype\tstatus\tcreated_at\tfinished_at\n1\ta\tsucceeded\t2024-07-01 12:00:00\t2024-07-01 12:00:01\n"
    arguments = ("-", "--delimiter", "\t", "--timezone", "Europe/Berlin")
    assert "is needed with stdin" in " ".join(bring_in(*arguments, stdin=rows).err.split())
    assert bring_in(*arguments, "--source", "old", stdin=rows).code == 0
    assert [row.created_at for row in history(database)] == [datetime(2024, 7, 1, 10, tzinfo=UTC)]
    assert "has not as many fields" in bring_in(*arguments, "--source", "old", stdin=rows + "2\tb\n").err


OLD = """
CREATE TABLE public.old_tasks (
    number bigint, name text, state text, queued timestamptz, began timestamp, done timestamptz, answer jsonb, note text
);
INSERT INTO public.old_tasks
SELECT n, 'mail.send', 'SUCCESS', timestamptz '2024-03-01 10:00:00.123456+05:30' + n * interval '1 s',
    timestamp '2024-03-01 04:30:01' + n * interval '1 s', timestamptz '2024-03-01 05:00:00+00' + n * interval '1 s',
    jsonb_build_object('n', n), E'two\\nlines, "quoted"'
FROM generate_series(1, 12000) AS n;
"""
OLD_MAPPING = (
    *("--map", "id=number", "--map", "type=name", "--map", "status=state", "--map", "created_at=queued"),
    *("--map", "started_at=began", "--map", "finished_at=done", "--map", "result=answer", "--map", "worker=note"),
    *("--status", "SUCCESS=succeeded", "--source", "old"),
)


@pytest.fixture
def old(settings: Settings) -> Iterator[str]:
    """The URL of a database with a table of tasks."""
    url = settings.require_database_url()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(OLD)
        try:
            yield f"{url}?options=-c%20datestyle%3DGerman"
        finally:
            connection.execute("DROP TABLE public.old_tasks")


def test_from_a_query_of_another_database(bring_in: Run, old: str, database: Database) -> None:
    query = "SELECT * FROM public.old_tasks WHERE number <= 11000 -- all that are done"
    asked = ("--query", query, *OLD_MAPPING)
    ran = bring_in(*asked, CALLBOARD_IMPORT_URL=old)

    assert (ran.code, "11,000 rows: 11,000 jobs imported" in ran.err) == (0, True), ran.err
    first = history(database)[0]
    assert first.created_at == datetime(2024, 3, 1, 4, 30, 1, 123000, UTC)
    with database.begin() as connection:
        assert get_jobs(connection, [first.id])[first.id]["status"] == "succeeded", "is found by its id"
    assert first.started_at == datetime(2024, 3, 1, 4, 30, 2, tzinfo=UTC)
    assert (first.result, first.worker) == ({"n": 1}, 'two\nlines, "quoted"')
    assert "0 jobs imported, 11,000 were there already" in bring_in(*asked, CALLBOARD_IMPORT_URL=old).err


def test_rows_of_a_query_are_told_apart_by_number(bring_in: Run, old: str, database: Database) -> None:
    query = (
        "SELECT number, name, CASE number WHEN 3 THEN 'WHAT' ELSE state END AS state, queued, began, done, answer, note"
    )
    asked = ("--query", f"{query} FROM public.old_tasks ORDER BY number", *OLD_MAPPING)
    ran = bring_in(*asked, "--dry-run", CALLBOARD_IMPORT_URL=old)

    assert ran.code == 2
    assert "Line 4: status is 'WHAT'; say what it is" in ran.err
    assert "12,000 rows: 11,999 jobs, 0 to leave out, 1 that cannot be jobs" in ran.err


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT 1 FROM nowhere", 'The query cannot be run: relation "nowhere" does not exist'),
        ("DELETE FROM public.old_tasks RETURNING *", "The query cannot be run: cannot execute DELETE in a read-only"),
        ("SELECT 1) TO STDOUT; DROP TABLE public.old_tasks; --", "The query cannot be run"),
        ("SELECT number FROM public.old_tasks", "There is no column 'name' for type. There are: number."),
        ("SELECT 1 / (number - 9000) AS number, * FROM public.old_tasks", "The query cannot be run: division by zero"),
    ],
)
def test_a_query_that_cannot_be_is_refused(
    bring_in: Run, old: str, database: Database, query: str, message: str
) -> None:
    ran = bring_in("--query", query, *OLD_MAPPING, CALLBOARD_IMPORT_URL=old)

    assert ran.code == 2
    assert message in " ".join(ran.err.split())
    assert history(database) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from-url", "postgresql://me:s3cr3t@127.0.0.1:1/a"), "--from-url holds a password"),
        (("--from-url", "host=127.0.0.1 password=s3cr3t"), "--from-url holds a password"),
        (("--from-url", "mysql://me:s3cr3t@127.0.0.1:1/a"), "--from-url is neither the URL of a PostgreSQL"),
        (("--from-url", "s3cr3t"), "--from-url is neither the URL of a PostgreSQL"),
        ((), "The database of --from-url does not answer"),
        (("tasks.csv",), "name a FILE, or a --query"),
    ],
)
def test_where_a_query_runs_is_said_without_a_secret(bring_in: Run, arguments: tuple[str, ...], message: str) -> None:
    gone = "postgresql://me:s3cr3t@127.0.0.1:1/a"
    ran = bring_in("--query", "SELECT 1", *arguments, *OLD_MAPPING, CALLBOARD_IMPORT_URL=gone)

    assert ran.code == 2
    assert message in " ".join(ran.err.replace("│", " ").split())
    assert "s3cr3t" not in ran.err


def test_a_query_needs_a_place_to_run(bring_in: Run) -> None:
    ran = bring_in("--query", "SELECT 1", *OLD_MAPPING)

    assert ran.code == 2
    assert "name a FILE, or a --query and with --from-url where it runs" in " ".join(ran.err.replace("│", " ").split())
