"""``callboard history``, ``retention``, ``analysts`` and ``generate-history``: over HTTP, and on a real database."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from sqlalchemy import text

from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from tests.support.factory import Factory


class Ran(Protocol):
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def on_database(run: Run, settings: Settings) -> Run:
    """Run a command on the test's database."""
    url = settings.require_database_url()
    return lambda *arguments, **environment: run(*arguments, CALLBOARD_DATABASE_URL=url, **environment)


PERIOD = {"jobs": 3, "mean": 0.3, "p50": 0.02, "p95": 1.2, "p99": 3.4, "max": 8.1}
SUMMARY = {
    "from": "2026-12-01T09:00:00.000Z",
    "to": "2026-12-01T11:00:00.000Z",
    "items": [
        {
            "start": "2026-12-01T10:00:00.000Z", "end": "2026-12-01T11:00:00.000Z", "group": "a.b", "jobs": 1200,
            "succeeded": 1170, "failed": 10, "cancelled": 20, "expired": 0, "attempts": 1215, "success_rate": 0.991525,
            "wait": PERIOD, "run": None,
        }
    ],
    "next_page_token": None,
}  # fmt: skip


def test_a_summary_is_bars_and_a_table(run: Run, script: Any, response: Any) -> None:
    script.will(response(SUMMARY), response(SUMMARY))
    ran = run("history", "summary", "--hours", "2", "--group-by", "queue", COLUMNS="120")

    assert ran.code == 0
    assert "jobs finished by hour, at most 1200 a bar" in ran.out
    assert " █" in ran.out
    assert "99.15%" in ran.out
    assert "group_by=queue" in script.asked[0].path
    assert "bucket=hour" in script.asked[1].path


def test_without_jobs_a_summary_says_so(run: Run, script: Any, response: Any) -> None:
    script.will(*[response({**SUMMARY, "items": []})] * 3)

    assert "No job finished" in run("history", "summary").err
    assert json.loads(run("history", "summary", "--json").out)["items"] == []


def test_failures_are_a_table(run: Run, script: Any, response: Any) -> None:
    error = {"reason": "exception", "type": "ValueError", "message": "bad \x1b[31m"}
    item = {
        "type": "a.b", "error": error, "jobs": 7, "first_seen": SUMMARY["from"], "last_seen": SUMMARY["to"],
        "example": None,
    }  # fmt: skip
    script.will(response({"complete": False, "items": [item], "next_page_token": None}))
    ran = run("history", "failures", "--type", "a.b", COLUMNS="160")

    assert "ValueError" in ran.out
    assert "\x1b" not in ran.out
    assert "the latest" in ran.err
    assert "type=a.b" in script.asked[0].path


def test_an_export_is_written_as_it_comes(run: Run, script: Any, response: Any, tmp_path: Path) -> None:
    script.will(response(b'{"id": 1}\n', media_type="application/x-ndjson"))
    script.will(response(b"more\n", media_type="text/csv"))
    file = tmp_path / "jobs"

    assert run("history", "export", "-o", str(file)).code == 0
    job_id = "019aa1f0-0000-7000-8000-000000000001"
    assert run("history", "export", "-o", str(file), "--format", "csv", "--after", job_id).code == 0
    assert file.read_bytes() == b'{"id": 1}\nmore\n'
    assert "format=ndjson" in script.asked[0].path
    assert f"cursor={job_id}" in script.asked[1].path


def test_an_export_that_is_refused_is_an_error(run: Run, script: Any, response: Any) -> None:
    script.will(response({"title": "No", "detail": "Not today."}, 422, media_type="application/problem+json"))
    ran = run("history", "export")

    assert (ran.code, ran.out) == (2, "")
    assert "Not today." in ran.err


def test_made_up_history_is_asked_in_sql(on_database: Run) -> None:
    made = on_database("generate-history", "--jobs", "500", "--days", "1", "--seed", "3")
    assert made.code == 0, made.err
    assert "jobs stored" in made.err

    found = on_database(
        "history", "sql", "SELECT count(*) AS n, count(DISTINCT type) AS types FROM analytics.jobs", "--json"
    )
    [row] = json.loads(found.out)["items"]
    assert 400 < row["n"] <= 500
    assert row["types"] > 5
    counted = on_database("history", "sql", "SELECT sum(jobs) AS n FROM analytics.throughput", "--json")
    assert json.loads(counted.out)["items"] == [{"n": row["n"]}]
    assert (
        on_database("history", "sql", "-", "--csv", stdin="SELECT 1 AS a, NULL AS b, 'x,y' AS c").out
        == 'a,b,c\n1,,"x,y"\n'
    )
    assert "│" not in on_database("history", "sql", "TABLE analytics.throughput LIMIT 3").out
    assert len(json.loads(on_database("history", "slowest", "--days", "2", "--limit", "4", "--json").out)["items"]) == 4


def test_made_up_jobs_do_not_join_real_ones(on_database: Run, factory: Factory, database: Database) -> None:
    factory.submit()
    refused = on_database("generate-history", "--jobs", "10", "--days", "1")

    assert refused.code == 2
    assert "--add" in refused.err
    with database.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM callboard.job_history")).scalar_one() == 0
    assert on_database("generate-history", "--jobs", "10", "--days", "1", "--add").code == 0


@pytest.mark.parametrize("query", ["DELETE FROM callboard.jobs", "SELECT payload FROM callboard.jobs", "nonsense"])
def test_a_query_that_is_refused_says_why(on_database: Run, query: str) -> None:
    ran = on_database("history", "sql", query)

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("Error: ")


def test_a_query_that_takes_too_long_is_ended(on_database: Run) -> None:
    ran = on_database("history", "sql", "SELECT pg_sleep(30)", "--timeout", "0.1")

    assert ran.code == 2
    assert "statement timeout" in ran.err


def test_rules_are_set_listed_unset_and_audited(on_database: Run, database: Database) -> None:
    assert "No rules" in on_database("retention", "list").err
    assert on_database("retention", "set", "--days", "90").code == 0
    assert on_database("retention", "set", "--for-ever", "--type", "table.analyze", "--outcome", "failed").code == 0
    assert json.loads(on_database("retention", "list", "--json").out)["items"] == [
        {"type": "*", "outcome": "*", "days": 90},
        {"type": "table.analyze", "outcome": "failed", "days": None},
    ]
    assert "for ever" in on_database("retention", "list").out
    assert on_database("retention", "unset").code == 0
    assert on_database("retention", "unset").code == 2
    with database.begin() as connection:
        log = connection.execute(text("SELECT action, subject FROM callboard.audit_log ORDER BY at, id")).all()
    assert [tuple(entry) for entry in log] == [
        ("retention.set", "* * 90 days"),
        ("retention.set", "table.analyze failed for ever"),
        ("retention.unset", "* *"),
    ]


@pytest.mark.parametrize(
    "options", [[], ["--days", "0"], ["--days", "3", "--for-ever"], ["--days", "3", "--outcome", "odd"]]
)
def test_a_rule_that_makes_no_sense_is_refused(on_database: Run, options: list[str]) -> None:
    assert on_database("retention", "set", *options).code == 2
    assert json.loads(on_database("retention", "list", "--json").out)["items"] == []


def test_a_rule_for_a_type_that_nobody_knows_is_refused(on_database: Run) -> None:
    ran = on_database("retention", "set", "--days", "3", "--type", "table.analyse", COLUMNS="300")
    assert ran.code == 2
    assert "there is no job type 'table.analyse'. Did you mean 'table.analyze'?" in ran.err
    assert json.loads(on_database("retention", "list", "--json").out)["items"] == []


def test_an_analyst_logs_in_with_what_is_printed(on_database: Run, settings: Settings) -> None:
    analyst_name = f"reader_{secrets.token_hex(4)}"
    made = json.loads(on_database("analysts", "add", analyst_name, "--owner", "billing", "--json").out)

    assert (made["name"], made["owner"]) == (analyst_name, "billing")
    url = settings.require_database_url()
    with psycopg.connect(url, user=made["name"], password=made["password"]) as connection:
        assert connection.execute("SELECT count(*) FROM analytics.jobs").fetchone() == (0,)
    assert {"name": analyst_name, "owner": "billing"} in json.loads(on_database("analysts", "list", "--json").out)[
        "items"
    ]
    assert "the jobs of billing" in on_database("analysts", "list").out
    assert on_database("analysts", "add", analyst_name).code == 2
    assert on_database("analysts", "add", "Robert'); DROP").code == 2
    assert on_database("analysts", "remove", analyst_name).code == 0
    assert on_database("analysts", "remove", analyst_name).code == 2
