"""Numbers, failures and exports over HTTP."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text

from callboard.api.openapi.history_operations import FailureGroups, HistorySummary
from callboard.db.history.rollups import follow, recount_next
from callboard.db.rules.outcome import JobError, Outcome
from callboard.db.rules.states import Reason, Status
from callboard.db.sql.engine import Database
from callboard.db.transitions import erase
from tests.support.factory import OUTCOMES, Factory
from tests.support.serving import Served

AsProblem = Callable[[httpx.Response, int, str], dict[str, Any]]
SUMMARY, FAILURES, EXPORT = "/v1/history/summary", "/v1/history/failures", "/v1/history/export"
BOB = {"x-owner": "bob", "x-role": "client"}


def settle(database: Database) -> None:
    with database.begin() as connection:
        follow(connection, late=60)
    more = True
    while more:
        with database.begin() as connection:
            more = recount_next(connection)


def fail(factory: Factory, message: str, error: str = "ValueError", **changes: Any) -> UUID:
    claimed = factory.claim(factory.submit(**changes))
    factory.end(claimed, Outcome.fail(JobError(Reason.EXCEPTION, error, message, attempt=1)))
    return claimed.id


@pytest.fixture
def some(database: Database, factory: Factory) -> None:
    for status in (Status.SUCCEEDED, Status.SUCCEEDED, Status.FAILED, Status.CANCELLED):
        factory.in_state(status, owner="ann")
    factory.in_state(Status.SUCCEEDED, owner="bob", type="test.typed", queue="orders")
    factory.in_state(Status.QUEUED)
    settle(database)


def test_a_summary_counts_and_measures(api: Served, some: None) -> None:
    body = api.get(SUMMARY)
    HistorySummary.model_validate(body)
    (item,) = body["items"]
    assert item["group"] is None
    counts = ("jobs", "succeeded", "failed", "cancelled", "expired", "attempts")
    assert [item[name] for name in counts] == [5, 3, 1, 1, 0, 4]
    assert item["success_rate"] == 0.75
    assert item["wait"]["jobs"] == item["run"]["jobs"] == 4
    assert 0 < item["run"]["p50"] <= item["run"]["p95"] <= item["run"]["p99"] <= item["run"]["max"]
    assert (item["start"], item["end"]) == (body["from"], body["to"])


@pytest.mark.parametrize(
    ("group_by", "groups"),
    [
        ("type", {"test.job": 4, "test.typed": 1}),
        ("queue", {"default": 4, "orders": 1}),
        ("owner", {"ann": 4, "bob": 1}),
        ("status", {"succeeded": 3, "failed": 1, "cancelled": 1}),
    ],
)
def test_jobs_are_told_apart(api: Served, some: None, group_by: str, groups: dict[str, int]) -> None:
    for bucket in ({}, {"bucket": "minute"}, {"bucket": "hour"}, {"bucket": "day"}):
        items = api.get(SUMMARY, group_by=group_by, **bucket)["items"]
        sums: dict[str, int] = {}
        for item in items:
            sums[item["group"]] = sums.get(item["group"], 0) + item["jobs"]
        assert sums == groups
    (largest,) = api.get(SUMMARY, group_by=group_by, groups=1)["items"]
    assert largest["jobs"] == max(groups.values())


def test_a_client_is_told_of_its_own(api: Served, some: None) -> None:
    def jobs(headers: dict[str, str], **params: str) -> list[tuple[str, int]]:
        items = api.client.get(SUMMARY, params=params, headers=headers).json()["items"]
        return [(item["group"], item["jobs"]) for item in items]

    assert jobs(BOB, group_by="type") == [("test.typed", 1)]
    assert jobs(BOB, group_by="owner") == [("bob", 1)]
    assert jobs(BOB, group_by="owner", owner="bob", bucket="hour") == [("bob", 1)]
    assert jobs(BOB, group_by="owner", owner="ann") == []
    assert jobs({}, group_by="owner", owner="ann") == [("ann", 4)]
    assert jobs({"x-role": "viewer"}, group_by="owner") == [("ann", 4), ("bob", 1)]


def test_a_time_is_widened_to_whole_periods(api: Served, database: Database, factory: Factory) -> None:
    for days, hours in ((0, 0), (1, 3), (2, 0), (3, 5)):
        job_id = factory.in_state(Status.SUCCEEDED)
        with database.begin() as connection:
            shift = text(
                "UPDATE callboard.job_history SET finished_at = finished_at - make_interval(0, 0, 0, :days, :hours) "
                "WHERE id = :id"
            )
            connection.execute(shift, {"days": days, "hours": hours, "id": job_id})
            connection.execute(
                text(
                    "INSERT INTO callboard.history_rollup_pending (starts_at, ends_at) "
                    "SELECT finished_at, finished_at FROM callboard.job_history WHERE id = :id"
                ),
                {"id": job_id},
            )
    settle(database)
    now = datetime.now(UTC)

    def counted(since: timedelta, until: timedelta = timedelta(0)) -> int:
        times = {"from": (now - since).isoformat(), "to": (now - until).isoformat()}
        return sum(item["jobs"] for item in api.get(SUMMARY, **times)["items"])

    # Whole days in the middle come from rows of days, the rest from rows of hours.
    assert counted(timedelta(days=4)) == 4
    assert counted(timedelta(days=3)) == 3
    assert counted(timedelta(days=2, hours=12), timedelta(hours=12)) == 2
    assert counted(timedelta(minutes=1)) == 1
    assert counted(timedelta(days=9), timedelta(days=8)) == 0
    body = api.get(SUMMARY, bucket="day", **{"from": (now - timedelta(days=4)).isoformat()})
    assert body["from"].endswith("T00:00:00.000Z")
    assert sum(item["jobs"] for item in body["items"]) == 4


def test_failures_are_grouped_by_what_they_are(api: Served, database: Database, factory: Factory) -> None:
    ids = [fail(factory, f"no row {n} in 019aa1f0-5c1e-7d3a-9f41-2b7c8e0d4a6{n} (0xdead{n})") for n in range(3)]
    other = fail(factory, "no facade here", "KeyError", owner="bob")
    factory.in_state(Status.SUCCEEDED)
    factory.in_state(Status.CANCELLED)
    body = api.get(FAILURES)
    FailureGroups.model_validate(body)
    assert body["complete"] is True
    rows, single = body["items"]
    assert rows["error"] == {"reason": "exception", "type": "ValueError", "message": "no row # in # (#)"}
    assert (rows["type"], rows["jobs"], rows["example"]) == ("test.job", 3, str(ids[-1]))
    assert rows["first_seen"] < rows["last_seen"]
    assert (single["error"]["message"], single["jobs"]) == ("no facade here", 1)

    with database.begin() as connection:
        assert erase(connection, other)
    _, erased = api.get(FAILURES)["items"]
    assert erased["error"] == {"reason": "exception", "type": "KeyError", "message": None}
    assert erased["example"] is None

    assert [item["jobs"] for item in api.client.get(FAILURES, headers=BOB).json()["items"]] == [1]
    assert api.client.get(FAILURES, params={"owner": "owner"}, headers=BOB).json()["items"] == []
    assert [item["jobs"] for item in api.get(FAILURES, owner="owner", type="test.job", queue="default")["items"]] == [3]
    assert api.get(FAILURES, type="other")["items"] == []
    assert api.get(FAILURES, to="2020-01-01T00:00:00Z")["items"] == []
    assert len(api.get(FAILURES, groups=1)["items"]) == 1


@pytest.mark.parametrize(
    ("path", "params", "pointer"),
    [
        (SUMMARY, {"from": "2026-01-02T00:00:00Z", "to": "2026-01-02T00:00:00Z"}, "/query/from"),
        (SUMMARY, {"from": "yesterday"}, "/query/from"),
        (SUMMARY, {"bucket": "week"}, "/query/bucket"),
        (SUMMARY, {"bucket": "minute", "from": "2020-01-01T00:00:00Z"}, "/query/from"),
        (SUMMARY, {"bucket": "hour", "from": "2020-01-01T00:00:00Z"}, "/query/bucket"),
        (SUMMARY, {"bucket": "minute", "group_by": "type", "groups": "1000"}, "/query/groups"),
        (SUMMARY, {"bucket": "minute", "group_by": "type", "owner": "ann"}, "/query/from"),
        (SUMMARY, {"group_by": "worker"}, "/query/group_by"),
        (SUMMARY, {"groups": "0"}, "/query/groups"),
        (SUMMARY, {"owner": "a\0"}, "/query/owner"),
        (FAILURES, {"to": "now"}, "/query/to"),
        (FAILURES, {"groups": "1001"}, "/query/groups"),
        (EXPORT, {"format": "xlsx"}, "/query/format"),
        (EXPORT, {"cursor": "x"}, "/query/cursor"),
        (EXPORT, {"include": "traceback"}, "/query/include/0"),
        (EXPORT, {"format": "parquet", "cursor": str(UUID(int=1))}, "/query/cursor"),
    ],
)
def test_what_does_not_fit_is_pointed_at(
    api: Served, as_problem: AsProblem, path: str, params: dict[str, str], pointer: str
) -> None:
    errors = as_problem(api.client.get(path, params=params), 422, "invalid-input")["errors"]
    assert errors[0]["pointer"] == pointer


def lines(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def test_finished_jobs_are_exported_oldest_first(api: Served, database: Database, factory: Factory) -> None:
    made = [factory.in_state(status, tags=b'{"a": "\xc3\xbc,\\""}') for status in Status]
    gone = factory.in_state(Status.SUCCEEDED)
    with database.begin() as connection:
        assert erase(connection, gone)
    finished = [made[list(Status).index(s)] for s in Status if s in OUTCOMES or s is Status.EXPIRED]
    finished = [job_id for job_id in finished if api.get(f"/v1/jobs/{job_id}")["done"]]
    answer = api.client.get(EXPORT)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["content-disposition"] == 'attachment; filename="callboard-history.ndjson"'
    rows = lines(answer)
    assert [UUID(row["id"]) for row in rows] == finished
    assert rows[0]["tags"] == {"a": 'ü,"'}
    assert not {"payload", "result"} & set(rows[0])

    included = lines(api.client.get(EXPORT, params={"include": ["payload", "result"], "status": "succeeded"}))
    assert [(row["payload"], row["result"]) for row in included] == [({"n": 1}, {"answer": 42})]

    table = list(csv.DictReader(io.StringIO(api.client.get(EXPORT, params={"format": "csv"}).text, newline="")))
    assert [UUID(row["id"]) for row in table] == finished
    assert [row["finished_at"] for row in table] == [row["finished_at"] for row in rows]
    assert json.loads(table[0]["tags"]) == rows[0]["tags"]

    parquet = pq.read_table(io.BytesIO(api.client.get(EXPORT, params={"format": "parquet"}).content)).to_pylist()
    assert [UUID(row["id"]) for row in parquet] == finished
    assert list(parquet[0]) == list(rows[0])
    assert parquet[0]["attempt"] == rows[0]["attempt"]
    assert parquet[0]["finished_at"].tzinfo is not None


def test_an_export_says_how_long_jobs_waited_and_ran_and_what_they_failed_with(api: Served, factory: Factory) -> None:
    failed = fail(factory, "no such sheet", "KeyError")
    cancelled = factory.in_state(Status.CANCELLED)
    rows = {row["id"]: row for row in lines(api.client.get(EXPORT))}
    of_failed, of_cancelled = rows[str(failed)], rows[str(cancelled)]

    def between(start: str, end: str) -> float:
        return (datetime.fromisoformat(of_failed[end]) - datetime.fromisoformat(of_failed[start])).total_seconds()

    # The times are written to the millisecond, the durations are exact.
    assert of_failed["wait_seconds"] == pytest.approx(between("created_at", "started_at"), abs=0.0021)
    assert of_failed["run_seconds"] == pytest.approx(between("attempt_started_at", "finished_at"), abs=0.0021)
    assert (of_failed["error_type"], of_cancelled["error_type"]) == ("KeyError", "Cancelled")
    parquet = pq.read_table(io.BytesIO(api.client.get(EXPORT, params={"format": "parquet"}).content))
    assert {row["id"]: row["run_seconds"] for row in parquet.to_pylist()} == {
        job_id: row["run_seconds"] for job_id, row in rows.items()
    }


def test_an_export_goes_on_where_it_was_cut_off(api: Served, factory: Factory) -> None:
    made = [factory.in_state(Status.SUCCEEDED) for _ in range(5)]
    rows = lines(api.client.get(EXPORT, params={"cursor": str(made[1])}))
    assert [UUID(row["id"]) for row in rows] == made[2:]
    whole = api.client.get(EXPORT, params={"format": "csv"}).text
    rest = api.client.get(EXPORT, params={"format": "csv", "cursor": str(made[1])}).text
    assert whole.endswith(rest)
    assert len(rest.splitlines()) == 3
    assert lines(api.client.get(EXPORT, params={"cursor": str(made[-1])})) == []
    assert (
        pq.read_table(io.BytesIO(api.client.get(EXPORT, params={"format": "parquet", "type": "x"}).content)).num_rows
        == 0
    )


def test_an_export_is_narrowed_as_a_list(api: Served, factory: Factory) -> None:
    mine = factory.in_state(Status.FAILED, owner="bob", queue="slow", tags=b'{"case": "1"}')
    others = [factory.in_state(Status.SUCCEEDED) for _ in range(3)]

    def exported(headers: dict[str, str] | None = None, **params: str) -> list[UUID]:
        answer = api.client.get(EXPORT, params=params, headers=headers or {})
        return [UUID(row["id"]) for row in lines(answer)]

    assert exported(status="failed") == exported(owner="bob") == [mine]
    assert exported(queue="slow") == exported(tag="case:1") == [mine]
    assert exported() == [mine, *others]
    assert exported(type="test.job", status="succeeded") == others
    assert exported(BOB) == [mine]
    assert exported(BOB, owner="owner") == []
    assert exported(created_before="2020-01-01T00:00:00Z") == []
    assert exported(created_after="2020-01-01T00:00:00Z", queue="slow") == [mine]


MANY = """
    INSERT INTO callboard.job_history
        (id, created_at, type, queue, status, priority, owner, max_retries, time_limit, finished_at, tags)
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n), 19, '0'))::uuid,
        at, 'test.job', 'default', 'succeeded', 5, 'owner', 3, 60, at, jsonb_build_object('n', repeat('x', 500))
    FROM generate_series(1, 12000) AS n,
        LATERAL (SELECT date_trunc('milliseconds', now() - interval '1 hour' + n * interval '1 ms') AS at) AS times
"""


@pytest.mark.parametrize("export_format", ["ndjson", "parquet"])
def test_an_export_holds_a_piece_at_a_time(api: Served, database: Database, export_format: str) -> None:
    with database.begin() as connection:
        connection.execute(text(MANY))
        first = connection.execute(text("SELECT min(created_at) FROM callboard.job_history")).scalar_one()

    def peak(**params: str) -> tuple[int, int]:
        """Stream an export away; its bytes, and the most memory that was in use for it."""
        tracemalloc.start()
        size = 0
        with api.client.stream("GET", EXPORT, params={"format": export_format, **params}) as answer:
            for block in answer.iter_raw():
                size += len(block)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size, most

    peak(created_before=first.isoformat())
    small, usual = peak(created_before=(first + timedelta(seconds=3)).isoformat())
    large, most = peak()
    assert large > 2 * small or export_format == "parquet"
    assert most < 1.5 * usual
