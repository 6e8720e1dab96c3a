"""What operators see of attempts: lines of the log, and metrics."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from structlog.testing import capture_logs

from callboard.actors.execution import attempt_log
from callboard.actors.execution.attempt_writer import Recorded
from callboard.actors.metrics import REGISTRY
from callboard.db.rules.outcome import Outcome
from tests.actors.execution.conftest import Bench
from tests.support.factory import ERROR
from tests.support.until import until


@pytest.fixture(autouse=True)
def at_info(monkeypatch: pytest.MonkeyPatch) -> None:
    """The level that processes have by default. That of the root logger is restored after each attempt."""
    shown = logging.getLogger("at info")
    shown.setLevel(logging.INFO)
    monkeypatch.setattr(attempt_log, "_level", shown)


def of(logs: list[Any], event: str, job_id: object) -> dict[str, Any]:
    """Return the one line of the job with that name."""
    [line] = [line for line in logs if line["event"] == event and line["job_id"] == str(job_id)]
    return dict(line)


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"callboard_{name}", labels) or 0.0


@pytest.mark.parametrize(
    ("job_type", "payload"), [("diagnostics.fail", {"message": "gone"}), ("isolated.raise", "throws")]
)
def test_a_failed_attempt_says_why(bench: Bench, job_type: str, payload: Any) -> None:
    with capture_logs() as logs:
        row = bench.run(job_type, payload, max_retries=0)
    line = of(logs, "attempt_failed", row["id"])

    assert (line["log_level"], line["outcome"], line["reason"]) == ("warning", "failed", "exception")
    assert (line["error_type"], line["error_message"]) == (row["error"]["type"], row["error"]["message"])
    assert line["exception"].startswith("Traceback")
    assert f"{row['error']['type']}: " in line["exception"]


def test_a_long_message_has_its_bound(bench: Bench) -> None:
    with capture_logs() as logs:
        row = bench.run("diagnostics.fail", {"message": "x" * 100_000}, max_retries=0)
    assert len(of(logs, "attempt_failed", row["id"])["error_message"]) <= 4_000


def test_start_and_end_have_a_line_each(bench: Bench) -> None:
    labels = {"type": "diagnostics.noop", "queue": "isolated"}
    waited = sample("job_wait_seconds_count", **labels)
    finished = sample("jobs_finished_total", **labels, outcome="succeeded")
    with capture_logs() as logs:
        row = bench.run("diagnostics.noop", {})
        until(lambda: any(line["event"] == "attempt_ended" for line in logs))
    started, ended = of(logs, "attempt_started", row["id"]), of(logs, "attempt_ended", row["id"])

    assert started["log_level"] == ended["log_level"] == "info"
    for line in (started, ended):
        assert (line["job_type"], line["queue"], line["attempt"]) == ("diagnostics.noop", "isolated", 1)
        assert line["owner"] == row["owner"]
    assert 0 <= started["wait_seconds"] < 600
    assert (ended["outcome"], ended["status"]) == ("succeeded", "succeeded")
    assert ended["run_seconds"] >= 0
    assert "retry_in" not in ended
    assert sample("job_wait_seconds_count", **labels) == waited + 1
    assert sample("jobs_finished_total", **labels, outcome="succeeded") == finished + 1


def test_a_retry_says_when_and_finishes_nothing(bench: Bench) -> None:
    labels = {"type": "diagnostics.fail", "queue": "isolated", "outcome": "failed"}
    finished = sample("jobs_finished_total", **labels)
    with capture_logs() as logs:
        row = bench.run("diagnostics.fail", {}, max_retries=1)
        until(lambda: any(line["event"] == "attempt_ended" for line in logs))
    ended = of(logs, "attempt_ended", row["id"])

    assert (ended["outcome"], ended["status"]) == ("failed", "retrying")
    assert ended["retry_in"] > 0
    assert sample("jobs_finished_total", **labels) == finished

    bench.make_due(row["id"])
    waited = sample("job_wait_seconds_count", type="diagnostics.fail", queue="isolated")
    bench.start(row["id"], 2).result(60)
    until(lambda: sample("jobs_finished_total", **labels) == finished + 1)
    assert sample("job_wait_seconds_count", type="diagnostics.fail", queue="isolated") == waited


def test_a_job_that_was_to_retry_and_is_cancelled_counts_as_cancelled(bench: Bench) -> None:
    claimed = bench.factory.claim(bench.factory.submit(type="to.cancel"))
    with capture_logs() as logs:
        attempt_log.ended(claimed, Outcome.retry_later(ERROR, 5.0), Recorded(ours=True, waits=False), seconds=1.0)
        attempt_log.ended(claimed, Outcome.fail(ERROR), Recorded(ours=False), seconds=1.0)

    assert [line["status"] for line in logs] == ["cancelled"]
    labels = {"type": "to.cancel", "queue": "default"}
    assert sample("jobs_finished_total", **labels, outcome="cancelled") == 1
    assert sample("jobs_finished_total", **labels, outcome="failed") == 0


def test_a_delay_is_no_wait(bench: Bench) -> None:
    job_id = bench.submit("diagnostics.noop", {}, delay=3600.0)
    bench.make_due(job_id)
    claimed = bench.factory.claim(job_id)
    assert 0 <= claimed.wait_seconds < 600
