"""Schema analytics: what its views say, against plain counts over the tables; and how little they read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

HOURLY = ("hourly", "throughput", "success_rate", "latency", "durations")
BY_HOUR = ("concurrency", "worker_utilisation")
BY_DAY = ("slowest_jobs", "failures", "retries", "owner_usage", "sla_breaches")
NOW = ("live_jobs", "oldest_waiting", "week_over_week", "hours", "days")
ROWS = ("jobs", "attempts")


def asked(connection: psycopg.Connection, statement: str, *parameters: object) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement, parameters).fetchall()


def yesterday(connection: psycopg.Connection) -> datetime:
    """The beginning of the last whole day."""
    row = connection.execute("SELECT date_trunc('day', now(), 'UTC') - interval '24 hours'").fetchone()
    assert row is not None
    return row[0].astimezone(UTC)  # type: ignore[no-any-return]


def test_all_views_are_known_here_and_can_be_read(sample_connection: psycopg.Connection) -> None:
    names = {
        row["viewname"] for row in asked(sample_connection, "SELECT * FROM pg_views WHERE schemaname = 'analytics'")
    }

    assert names == {*HOURLY, *BY_HOUR, *BY_DAY, *NOW, *ROWS}
    for name in names:
        sample_connection.execute(f"SELECT * FROM analytics.{name} LIMIT 1")


def test_throughput_counts_what_finished_in_the_hour(sample_connection: psycopg.Connection) -> None:
    shown = asked(
        sample_connection,
        "SELECT hour, type, jobs, succeeded, failed, cancelled, expired FROM analytics.throughput "
        "WHERE hour >= now() - interval '25 hours' ORDER BY hour, type",
    )
    counted = asked(
        sample_connection,
        "SELECT date_trunc('hour', finished_at) AS hour, type, count(*) AS jobs, "
        "sum((status = 'succeeded')::int) AS succeeded, sum((status = 'failed')::int) AS failed, "
        "sum((status = 'cancelled')::int) AS cancelled, sum((status = 'expired')::int) AS expired "
        "FROM callboard.job_history WHERE date_trunc('hour', finished_at) >= now() - interval '25 hours' "
        "GROUP BY 1, 2 ORDER BY 1, 2",
    )

    assert len(shown) > 5
    assert shown == counted


def test_buckets_hold_every_job_where_its_duration_belongs(sample_connection: psycopg.Connection) -> None:
    shown = asked(
        sample_connection,
        "SELECT type, measure, up_to_seconds, sum(jobs)::int AS jobs FROM analytics.durations "
        "WHERE hour >= now() - interval '25 hours' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    )
    exact = asked(
        sample_connection,
        "SELECT type, measure, 0.001 * (1.025::float8 / 0.975) ^ greatest(0, ceil(ln(greatest(seconds, 0.001) / 0.001) "
        "/ ln(1.025::float8 / 0.975))) AS up_to_seconds, count(*)::int AS jobs FROM analytics.jobs "
        "CROSS JOIN LATERAL (VALUES ('wait', wait_seconds), ('run', run_seconds)) AS measured (measure, seconds) "
        "WHERE date_trunc('hour', finished_at) >= now() - interval '25 hours' AND seconds IS NOT NULL "
        "GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    )

    assert {row["measure"] for row in shown} == {"wait", "run"}
    assert [(row["type"], row["measure"], row["jobs"]) for row in shown] == [
        (row["type"], row["measure"], row["jobs"]) for row in exact
    ]
    assert [row["up_to_seconds"] for row in shown] == pytest.approx([row["up_to_seconds"] for row in exact])


def test_a_job_that_never_started_has_waited_for_nothing(sample_connection: psycopg.Connection) -> None:
    shown = asked(
        sample_connection,
        "SELECT started_at IS NULL AS never, count(*) AS jobs, count(wait_seconds) AS waits FROM analytics.jobs "
        "GROUP BY 1 ORDER BY 1",
    )

    started, never = shown
    assert (started["never"], started["waits"]) == (False, started["jobs"])
    assert (never["never"], never["waits"]) == (True, 0)


def test_percentiles_are_close_to_the_exact_ones(sample_connection: psycopg.Connection) -> None:
    shown = asked(
        sample_connection,
        "SELECT type, quantiles[1] AS p50, quantiles[2] AS p95 FROM (SELECT type, callboard.histogram_quantiles("
        "sum(run_histogram), ARRAY[0.5, 0.95]) AS quantiles FROM analytics.hourly "
        "WHERE hour >= now() - interval '25 hours' GROUP BY type) AS merged ORDER BY type",
    )
    exact = asked(
        sample_connection,
        "SELECT type, percentile_disc(0.5) WITHIN GROUP (ORDER BY run_seconds) AS p50, percentile_disc(0.95) "
        "WITHIN GROUP (ORDER BY run_seconds) AS p95 FROM analytics.jobs WHERE run_seconds IS NOT NULL "
        "AND date_trunc('hour', finished_at) >= now() - interval '25 hours' GROUP BY type ORDER BY type",
    )

    assert [row["type"] for row in shown] == [row["type"] for row in exact]
    for row, true in zip(shown, exact, strict=True):
        assert row["p50"] == pytest.approx(true["p50"], rel=0.026)
        assert row["p95"] == pytest.approx(true["p95"], rel=0.026)


def test_failures_are_grouped_by_error(sample_connection: psycopg.Connection) -> None:
    # Nearly all of the sample: few jobs fail, and which ones depends on the minute at which it is made.
    since = yesterday(sample_connection) - timedelta(days=60)
    shown = asked(
        sample_connection,
        "SELECT type, reason, error_type, sum(jobs)::int AS jobs, min(first_seen) AS first_seen, "
        "max(last_seen) AS last_seen FROM analytics.failures WHERE day >= %s GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        since,
    )
    counted = asked(
        sample_connection,
        "SELECT type, error->>'reason' AS reason, error->>'type' AS error_type, count(*)::int AS jobs, "
        "min(finished_at) AS first_seen, max(finished_at) AS last_seen FROM callboard.job_history "
        "WHERE status = 'failed' AND finished_at >= %s GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        since,
    )

    assert len(shown) > 1
    assert shown == counted


def test_retries_cost_what_their_attempts_ran(sample_connection: psycopg.Connection) -> None:
    # Two weeks: retries are few, and on a quiet day there may be none.
    end = yesterday(sample_connection) + timedelta(days=1)
    begin = end - timedelta(days=14)
    shown = asked(
        sample_connection,
        "SELECT sum(jobs)::int AS jobs, sum(failed_attempts)::int AS retries, sum(wasted_seconds) AS wasted "
        "FROM analytics.retries WHERE day >= %s AND day < %s",
        begin,
        end,
    )
    counted = asked(
        sample_connection,
        "SELECT count(DISTINCT id) AS jobs, count(*) AS retries, sum(attempts.run_seconds) AS wasted "
        "FROM analytics.jobs JOIN analytics.attempts ON job_id = id AND attempt < jobs.attempts "
        "WHERE jobs.finished_at >= %s AND jobs.finished_at < %s",
        begin,
        end,
    )

    assert shown[0]["jobs"] == counted[0]["jobs"] > 0
    assert shown[0]["retries"] == counted[0]["retries"]
    assert shown[0]["wasted"] == pytest.approx(counted[0]["wasted"])


def test_owners_used_what_all_attempts_ran(sample_connection: psycopg.Connection) -> None:
    day = yesterday(sample_connection)
    shown = asked(
        sample_connection,
        "SELECT owner, sum(jobs)::int AS jobs, sum(compute_seconds) AS seconds FROM analytics.owner_usage "
        "WHERE day = %s GROUP BY owner ORDER BY owner",
        day,
    )
    counted = asked(
        sample_connection,
        "SELECT owner, count(DISTINCT id)::int AS jobs, sum(a.run_seconds) AS seconds "
        "FROM analytics.jobs AS j LEFT JOIN analytics.attempts AS a ON job_id = id "
        "WHERE j.finished_at >= %s AND j.finished_at < %s GROUP BY owner ORDER BY owner",
        day,
        day + timedelta(days=1),
    )

    assert [(row["owner"], row["jobs"]) for row in shown] == [(row["owner"], row["jobs"]) for row in counted]
    assert [row["seconds"] for row in shown] == pytest.approx([row["seconds"] for row in counted])


def test_concurrency_is_busy_time_an_hour(sample_connection: psycopg.Connection) -> None:
    day = yesterday(sample_connection)
    shown = asked(
        sample_connection,
        "SELECT sum(busy_seconds) AS busy FROM analytics.concurrency WHERE hour >= %s AND hour < %s",
        day,
        day + timedelta(days=1),
    )
    by_worker = asked(
        sample_connection,
        "SELECT sum(busy_seconds) AS busy FROM analytics.worker_utilisation WHERE hour >= %s AND hour < %s",
        day,
        day + timedelta(days=1),
    )
    counted = asked(
        sample_connection,
        "SELECT sum(extract(epoch FROM least(finished_at, %s) - greatest(started_at, %s)))::float AS busy "
        "FROM callboard.job_attempts WHERE finished_at >= %s AND started_at < %s",
        day + timedelta(days=1),
        day,
        day,
        day + timedelta(days=1),
    )

    assert shown[0]["busy"] == pytest.approx(counted[0]["busy"])
    assert by_worker[0]["busy"] == pytest.approx(counted[0]["busy"])


def test_the_slowest_jobs_of_a_day(sample_connection: psycopg.Connection) -> None:
    day = yesterday(sample_connection)
    shown = asked(sample_connection, "SELECT id FROM analytics.slowest_jobs WHERE day = %s ORDER BY rank LIMIT 5", day)
    counted = asked(
        sample_connection,
        "SELECT id FROM callboard.job_history WHERE finished_at >= %s AND finished_at < %s "
        "AND attempt_started_at IS NOT NULL ORDER BY finished_at - attempt_started_at DESC LIMIT 5",
        day,
        day + timedelta(days=1),
    )

    assert len(shown) == 5
    assert shown == counted


def test_breaches_are_waits_over_what_the_table_allows(sample_connection: psycopg.Connection) -> None:
    day = yesterday(sample_connection)
    assert asked(sample_connection, "SELECT FROM analytics.sla_breaches WHERE day = %s", day) == []
    sample_connection.execute("INSERT INTO analytics.sla VALUES ('email.send', '50 ms'), ('*', '1 h')")

    shown = {
        row["type"]: row for row in asked(sample_connection, "SELECT * FROM analytics.sla_breaches WHERE day = %s", day)
    }
    counted = asked(
        sample_connection,
        "SELECT count(*) AS jobs, count(*) FILTER (WHERE wait_seconds > 0.05) AS late FROM analytics.jobs "
        "WHERE type = 'email.send' AND started_at IS NOT NULL AND finished_at >= %s AND finished_at < %s",
        day,
        day + timedelta(days=1),
    )
    sample_connection.rollback()

    assert (shown["email.send"]["jobs"], shown["email.send"]["breaches"]) == (counted[0]["jobs"], counted[0]["late"])
    assert shown["email.send"]["breaches"] > 0
    assert shown["image.thumbnail"]["longest_wait"] == timedelta(hours=1)
    assert shown["image.thumbnail"]["breaches"] == 0


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of a plan that were executed, without the query for the oldest job: one row of each primary key."""
    own = [plan] if plan["Actual Loops"] else []
    parts = [part for part in plan.get("Plans", ()) if part["Parent Relationship"] != "InitPlan"]
    return own + [node for part in parts for node in nodes(part)]


def executed(connection: psycopg.Connection, statement: str, *parameters: object) -> list[dict[str, Any]]:
    row = connection.execute(f"EXPLAIN (ANALYZE, FORMAT json) {statement}", parameters).fetchone()
    assert row is not None
    return nodes(row[0][0]["Plan"])


def read_of_history(steps: list[dict[str, Any]]) -> int:
    """Rows that were read from partitions of history and attempts, those that a filter threw away included."""
    return sum(
        (step["Actual Rows"] + step.get("Rows Removed by Filter", 0) + step.get("Rows Removed by Index Recheck", 0))
        * step["Actual Loops"]
        for step in steps
        if step.get("Relation Name", "").startswith(("job_history", "job_attempts"))
    )


#: Pages that an entry of a BRIN index stands for.
BLOCK_RANGE = 32


def pages_of(connection: psycopg.Connection, partitions: set[str]) -> list[tuple[str, int]]:
    statement = "SELECT relname, pg_relation_size(oid) / 8192 FROM pg_class WHERE relname = ANY(%s)"
    return connection.execute(statement, [list(partitions)]).fetchall()


@pytest.mark.parametrize("view", [*BY_HOUR, *BY_DAY])
def test_a_view_reads_the_time_that_is_asked_for(sample_connection: psycopg.Connection, view: str) -> None:
    sample_connection.execute("INSERT INTO analytics.sla VALUES ('*', '1 h')")
    day = yesterday(sample_connection) - timedelta(days=30)
    column = "hour" if view in BY_HOUR else "day"
    statement = f"SELECT * FROM analytics.{view} WHERE {column} >= %s AND {column} < %s"
    end = day + (timedelta(hours=1) if view in BY_HOUR else timedelta(days=1))
    steps = executed(sample_connection, statement, day, end)
    sample_connection.rollback()

    relations = {step["Relation Name"] for step in steps if "_2" in step.get("Relation Name", "")}
    later = {name for name in relations if name[-7:] > f"{end:%Y_%m}"}
    assert relations
    assert later == set()
    whole = {step["Relation Name"] for step in steps if step["Node Type"] == "Seq Scan"}
    # An index of block ranges leaves out nothing of a partition that is one range, such as the sample's first days are.
    assert {name: pages for name, pages in pages_of(sample_connection, whole & relations) if pages > BLOCK_RANGE} == {}
    # Of 10,000 jobs, a day has some hundreds; block ranges are 32 pages, several hundred rows each.
    assert read_of_history(steps) < 5000


@pytest.mark.parametrize("view", HOURLY)
def test_a_view_on_rollups_reads_no_job(sample_connection: psycopg.Connection, view: str) -> None:
    steps = executed(sample_connection, f"SELECT * FROM analytics.{view} WHERE hour >= now() - interval '25 hours'")

    assert {step["Relation Name"] for step in steps if "Relation Name" in step} == {"history_rollup"}
    assert "Seq Scan" not in {step["Node Type"] for step in steps}


def test_weeks_are_compared_from_the_rollups(sample_connection: psycopg.Connection) -> None:
    steps = executed(sample_connection, "SELECT * FROM analytics.week_over_week")

    assert {step["Relation Name"] for step in steps if "Relation Name" in step} == {"history_rollup"}
    assert "Seq Scan" not in {step["Node Type"] for step in steps}


@pytest.mark.parametrize("view", ["latency", "throughput", "success_rate"])
def test_a_view_on_rollups_opens_no_histogram(sample_connection: psycopg.Connection, view: str) -> None:
    row = sample_connection.execute(f"EXPLAIN (VERBOSE) SELECT * FROM analytics.{view}").fetchall()
    plan = "\n".join(line for (line,) in row)

    assert "history_rollup" in plan
    assert "histogram_quantiles" not in plan


@pytest.mark.parametrize("view", ["hours", "days"])
def test_gaps_are_filled_from_the_oldest_job_alone(sample_connection: psycopg.Connection, view: str) -> None:
    row = sample_connection.execute(f"EXPLAIN (ANALYZE, FORMAT json) SELECT * FROM analytics.{view}").fetchone()
    assert row is not None
    kinds: list[str] = []
    steps: list[dict[str, Any]] = [row[0][0]["Plan"]]
    while steps:
        step = steps.pop()
        steps += step.get("Plans", ())
        if "job_history" in step.get("Relation Name", "") and step["Actual Loops"]:
            kinds.append(step["Node Type"])
            assert step["Actual Rows"] <= 1

    assert set(kinds) <= {"Index Scan", "Index Only Scan"}


@pytest.mark.parametrize("view", ROWS)
def test_rows_of_some_days_are_read_from_their_months(sample_connection: psycopg.Connection, view: str) -> None:
    day = yesterday(sample_connection)
    steps = executed(
        sample_connection, f"SELECT count(*) FROM analytics.{view} WHERE created_at >= %s AND created_at < %s", day,
        day + timedelta(days=1),
    )  # fmt: skip

    assert {step["Relation Name"][-7:] for step in steps if "Relation Name" in step} == {f"{day:%Y_%m}"}


def test_what_is_due_waits(database: Any, factory: Any) -> None:
    first = factory.submit(type="a")
    factory.submit(type="a")
    factory.submit(type="a", delay=60.0)
    with database.begin() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM analytics.oldest_waiting").mappings().all()

    assert [(row["type"], row["jobs"], row["job_id"]) for row in rows] == [("a", 2, first)]
    assert rows[0]["wait_seconds"] >= 0


def test_every_table_and_view_is_described(sample_connection: psycopg.Connection) -> None:
    missing = asked(
        sample_connection,
        "SELECT relname, attname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 "
        "AND NOT attisdropped WHERE (relnamespace = 'analytics'::regnamespace AND relkind IN ('v', 'r') OR "
        "pg_class.oid IN ('callboard.jobs'::regclass, 'callboard.job_history'::regclass, "
        "'callboard.job_attempts'::regclass, 'callboard.job_progress'::regclass)) "
        "AND (col_description(pg_class.oid, attnum) IS NULL OR obj_description(pg_class.oid, 'pg_class') IS NULL)",
    )

    assert missing == []
