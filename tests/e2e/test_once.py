"""Each job runs once: whatever the number of workers, and however often its message arrives."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from callboard.actors.broker.amqp import Rabbitmq
from callboard.actors.broker.publisher import RabbitmqTransport
from callboard.actors.broker.transport import Dispatch
from callboard.db.rules.attempts import AttemptId
from tests.e2e.client import Job
from tests.e2e.system import Distributed

pytestmark = pytest.mark.faults

QUEUE = "e2e"


def ledger_jobs(path: Path, count: int) -> list[Job]:
    return [{"type": "e2e.ledger", "payload": {"path": str(path)}} for _ in range(count)]


def runs_in(path: Path) -> list[list[str]]:
    """Return job id, attempt and pid of each run."""
    return [line.split() for line in path.read_text().splitlines()]


@contextmanager
def transport_to(system: Distributed) -> Iterator[RabbitmqTransport]:
    transport = RabbitmqTransport(Rabbitmq.at(system.settings["amqp_url"]), confirm_timeout=10)
    yield transport
    transport.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "rabbitmq-publisher"]


def assert_each_ran_once(system: Distributed, ledger: Path, ids: list[str]) -> None:
    assert Counter(job_id for job_id, _, _ in runs_in(ledger)) == Counter(ids)
    assert system.rows("SELECT status, attempt, count(*) FROM job_history GROUP BY 1, 2") == [
        {"status": "succeeded", "attempt": 1, "count": len(ids)}
    ]
    assert system.rows(
        "SELECT outcome, attempt, count(*), count(DISTINCT job_id) AS jobs FROM job_attempts GROUP BY 1, 2"
    ) == [{"outcome": "succeeded", "attempt": 1, "count": len(ids), "jobs": len(ids)}]
    assert system.rows("SELECT id FROM jobs") == []


def test_two_workers_share_2000_jobs(workerless: Distributed, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    workerless.start_worker("--processes", "2", "--threads", "8", "--name", "pair")
    assert {worker["name"] for worker in workerless.wait_for_workers(2)} == {"pair-1", "pair-2"}
    ids = [job_id for _ in range(4) for job_id in workerless.api.submit_batch(ledger_jobs(ledger, 500))]
    workerless.wait_until_none_live()
    assert_each_ran_once(workerless, ledger, ids)
    assert len({pid for _, _, pid in runs_in(ledger)}) == 2


def test_messages_published_five_times_run_each_job_once(workerless: Distributed, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    ids = workerless.api.submit_batch(ledger_jobs(ledger, 200))
    workerless.wait_for_rows("SELECT 1 WHERE NOT EXISTS (SELECT FROM jobs WHERE dispatched_at IS NULL)")
    messages = [Dispatch(AttemptId(UUID(job_id), 1), "e2e.ledger", QUEUE, 5) for job_id in ids]
    with transport_to(workerless) as transport:
        for _ in range(4):
            assert len(transport.publish(messages)) == len(messages)
        assert transport.depths([QUEUE])[QUEUE] >= 5 * len(ids)  # a confirm that was late makes more
        workerless.start_worker("--processes", "2", "--threads", "8")
        workerless.wait_until_none_live()
        # Once more, after all is done; the last message of the queue shows that those before it were taken.
        assert transport.publish(messages)
    last = workerless.api.submit("e2e.ledger", {"path": str(tmp_path / "last")}, priority=0)
    assert workerless.api.wait(last)["status"] == "succeeded"
    workerless.rows("DELETE FROM job_attempts WHERE job_id = %s", last)
    workerless.rows("DELETE FROM job_history WHERE id = %s", last)
    assert_each_ran_once(workerless, ledger, ids)


def test_a_message_for_an_attempt_that_is_not_next_does_nothing(workerless: Distributed, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    later = workerless.api.submit("e2e.ledger", {"path": str(ledger)}, delay=3600.0)
    done = workerless.api.submit("e2e.ledger", {"path": str(ledger)})
    workerless.start_worker("--threads", "2")
    workerless.api.wait(done)
    with transport_to(workerless) as transport:
        stale = [
            Dispatch(AttemptId(UUID(job_id), attempt), "e2e.ledger", QUEUE, 5)
            for job_id in (later, done)
            for attempt in (1, 2)
        ]
        assert transport.publish(stale)
    last = workerless.api.submit("e2e.ledger", {"path": str(ledger)}, priority=0)
    workerless.api.wait(last)
    assert workerless.api.job(later)["status"] == "scheduled"
    assert sorted(job_id for job_id, _, _ in runs_in(ledger)) == sorted([done, last])
    workerless.api.cancel(later)
