"""API.md: GET /v1/history/summary, failures and export."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.contract.callboard import Client
from tests.contract.formats import is_time, problem
from tests.support.until import until


@pytest.fixture
def period() -> dict[str, str]:
    now = datetime.now(UTC)
    return {"from": (now - timedelta(hours=1)).isoformat(), "to": (now + timedelta(hours=1)).isoformat()}


@pytest.mark.parametrize("bucket", ["minute", "hour", "day"])
@pytest.mark.parametrize("group_by", ["type", "queue", "owner", "status"])
def test_the_summary_takes_every_bucket_and_group(
    olga: Client, period: dict[str, str], bucket: str, group_by: str
) -> None:
    answer = olga.get("/v1/history/summary", params={**period, "bucket": bucket, "group_by": group_by})
    assert answer.status_code == 200, answer.text
    assert {"items", "next_page_token"} <= answer.json().keys()


def test_a_summary_has_counts_success_rate_and_times(ann: Client, period: dict[str, str]) -> None:
    ann.done(ann.submit()["id"])
    params = {**period, "bucket": "hour", "group_by": "type"}
    # Maintenance counts finished jobs a little later.
    items = until(
        lambda: ann.get("/v1/history/summary", params=params).json()["items"], what="the job is counted", every=0.1
    )
    item = next(item for item in items if item["group"] == "diagnostics.echo")
    assert is_time(item["start"])
    assert item["jobs"] >= item["succeeded"] >= 1
    assert 0 < item["success_rate"] <= 1
    for name in ("wait", "run"):
        assert {"mean", "p50", "p95", "p99", "max"} <= item[name].keys()


def test_failures_are_grouped_by_type_and_error_with_an_example(ann: Client, period: dict[str, str]) -> None:
    job = ann.done(ann.submit("diagnostics.fail", {"message": "contract of failures"}, max_retries=0)["id"])
    items = ann.get("/v1/history/failures", params=period).json()["items"]
    group = next(item for item in items if item["error"]["message"] == "contract of failures")
    assert (group["type"], group["jobs"], group["example"]) == ("diagnostics.fail", 1, job["id"])


def test_the_export_is_ndjson_csv_or_parquet(ann: Client) -> None:
    job_id = ann.done(ann.submit()["id"])["id"]
    lines = ann.get("/v1/history/export", params={"format": "ndjson"})
    assert lines.headers["Content-Type"].startswith("application/x-ndjson")
    assert job_id in [json.loads(line)["id"] for line in lines.text.splitlines()]
    rows = ann.get("/v1/history/export", params={"format": "csv"})
    assert rows.headers["Content-Type"].startswith("text/csv")
    assert job_id in [row["id"] for row in csv.DictReader(io.StringIO(rows.text))]
    table = ann.get("/v1/history/export", params={"format": "parquet"})
    assert table.content[:4] == table.content[-4:] == b"PAR1"


def test_the_history_of_others_is_not_exported(ann: Client, ben: Client) -> None:
    job_id = ann.done(ann.submit()["id"])["id"]
    assert job_id not in ben.get("/v1/history/export", params={"format": "ndjson"}).text
    problem(ann.get("/v1/history/export", params={"format": "xml"}), 422, "invalid-input")
