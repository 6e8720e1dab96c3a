"""Job types of all kinds, as a project defines them, and jobs that fit no handler."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.e2e.processes import ROOT
from tests.e2e.system import System

ORDERS = ROOT / "examples" / "orders.csv"


def test_an_async_handler(system: System) -> None:
    job_id = system.api.submit("e2e.async", [0.3] * 20)
    job = system.api.wait(job_id)
    assert (job["status"], job["progress"]["percent"]) == ("succeeded", 100.0)
    assert 0.3 <= job["result"]["took"] < 3
    assert round(job["result"]["slept"], 6) == 6


def test_an_async_handler_is_cancelled(system: System) -> None:
    job_id = system.api.submit("e2e.async", [60.0])
    system.api.until(job_id, lambda job: job["status"] == "running")
    system.api.cancel(job_id)
    assert system.api.wait(job_id, timeout=5)["status"] == "cancelled"


def test_an_adopted_actor(system: System) -> None:
    job_id = system.api.submit("e2e.add", {"args": [20], "kwargs": {"second": 22}})
    assert system.api.wait(job_id)["result"] == 42
    failing = system.api.submit("e2e.add", {"args": [20, -1]})
    job = system.api.wait(failing)
    assert (job["status"], job["attempt"], job["max_retries"]) == ("failed", 2, 1)
    assert job["error"]["type"] == "ArithmeticError"


def test_an_actor_has_the_broker_of_its_process(system: System) -> None:
    """Otherwise Dramatiq makes one on RabbitMQ's usual port, and messages that nobody reads."""
    job = system.api.wait(system.api.submit("e2e.send", max_retries=0))
    assert (job["status"], job["error"]["type"]) == ("failed", "ConfigurationError")
    assert "e2e.add.send() reached Callboard's broker" in job["error"]["message"]


def test_a_payload_that_does_not_fit_any_more(system: System) -> None:
    """Its model has changed since it was submitted."""
    job_id = system.api.submit("diagnostics.sleep", {"seconds": 1}, delay=3600.0)
    system.rows("""UPDATE jobs SET payload = '{"seconds": "soon"}', due_at = now() WHERE id = %s""", job_id)
    job = system.api.wait(job_id)
    assert (job["status"], job["attempt"], job["error"]["reason"]) == ("failed", 1, "invalid_payload")
    assert "seconds" in job["error"]["message"]


def test_a_type_that_the_worker_does_not_know(system: System) -> None:
    """The last worker that knew it is gone, and no other comes in time."""
    job_id = system.api.submit("e2e.noop", delay=3600.0, max_retries=0)
    system.rows("UPDATE jobs SET type = 'e2e.forgotten', due_at = now() WHERE id = %s", job_id)
    system.api.until(job_id, lambda job: job["waiting_for"] is not None)
    system.rows(
        """
        UPDATE jobs SET waiting_for = waiting_for || '{"since": "2026-01-01T00:00:00Z"}',
            due_at = CASE WHEN status = 'blocked' THEN now() END
        WHERE id = %s
        """,
        job_id,
    )
    job = system.api.wait(job_id)
    assert (job["status"], job["attempt"], job["error"]["reason"]) == ("failed", 0, "unknown_type")
    assert "e2e.forgotten" in job["error"]["message"]


def test_a_type_that_the_worker_does_not_know_yet(system: System) -> None:
    """A deployment is under way: the job waits for a worker that knows it."""
    job_id = system.api.submit("e2e.noop", delay=3600.0, max_retries=0)
    system.rows("UPDATE jobs SET type = 'e2e.new', due_at = now() WHERE id = %s", job_id)
    job = system.api.until(job_id, lambda job: job["waiting_for"] is not None)
    assert (job["status"], job["attempt"]) in {("blocked", 0), ("queued", 0)}
    assert (job["waiting_for"]["kind"], job["waiting_for"]["type"]) == ("worker", "e2e.new")
    system.rows("UPDATE jobs SET type = 'e2e.noop' WHERE id = %s", job_id)
    job = system.api.wait(job_id)
    assert (job["status"], job["attempt"], job["waiting_for"]) == ("succeeded", 1, None)


def test_an_uploaded_file(system: System, tmp_path: Path) -> None:
    content = "Łódź\n".encode() * 300_000
    path = tmp_path / "Łódź.txt"
    path.write_bytes(content)
    job_id = system.api.submit("e2e.digest", {"file": system.api.upload(path)})
    assert system.api.wait(job_id)["result"] == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def test_a_file_that_is_not_there(system: System) -> None:
    missing = "019aa1f0-0000-7000-8000-000000000001"
    job = system.api.wait(system.api.submit("e2e.digest", {"file": missing}, max_retries=0))
    assert (job["status"], job["error"]["type"]) == ("failed", "NotFound")
    assert missing in job["error"]["message"]


def test_table_analyze(system: System) -> None:
    job_id = system.api.submit("table.analyze", {"file": system.api.upload(ORDERS)})
    job = system.api.wait(job_id)
    assert (job["status"], job["progress"]["percent"]) == ("succeeded", 100.0)
    [row] = system.history(job_id)
    assert row["result"] == job["result"]
    # 50,000 orders, some of them written twice.
    assert row["result"]["rows"] - row["result"]["duplicate_rows"] == 50_000
    assert row["result"]["column_count"] == 14
    assert {column["name"] for column in row["result"]["columns"]} >= {"order_id", "city", "total"}


def test_a_broken_table_fails_with_row_and_reason(system: System, tmp_path: Path) -> None:
    path = tmp_path / "broken.csv"
    path.write_text("city,amount\nBonn,1\nKöln,2,3,4\nAachen,5\n", encoding="utf-8")
    job = system.api.wait(system.api.submit("table.analyze", {"file": system.api.upload(path)}, max_retries=0))
    assert job["status"] == "failed"
    assert "3" in job["error"]["message"]
