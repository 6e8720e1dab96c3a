"""The whole path through PgBouncer in transaction mode, with fewer connections to PostgreSQL than there are threads."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.e2e.stage import Stage
from tests.e2e.system import Distributed
from tests.e2e.test_once import ledger_jobs, runs_in
from tests.services.pgbouncer import PgBouncer, PgBouncerMissing, private_pgbouncer
from tests.services.rabbitmq import RabbitmqServer, fresh_vhost
from tests.support.databases import Databases
from tests.support.servers import ALL

pytestmark = pytest.mark.faults


@dataclass
class Pooled:
    system: Distributed
    pooler: PgBouncer


@pytest.fixture
def pooled(stage: Stage, databases: Databases, rabbitmq_server: RabbitmqServer) -> Pooled:
    """A system whose processes reach PostgreSQL through a pooler, all but LISTEN."""
    direct = stage.stack.enter_context(databases.fresh(ALL[0]))
    amqp_url = stage.stack.enter_context(fresh_vhost(rabbitmq_server))
    try:
        pooler = stage.stack.enter_context(private_pgbouncer(direct, pool_size=2))
    except PgBouncerMissing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    system = stage.put_up(
        Distributed,
        database_url=pooler.url,
        database_direct_url=direct,
        database_pgbouncer="true",
        amqp_url=amqp_url,
        # Due jobs are found by notifications, not by polls.
        dispatch_poll_interval="30",
    )
    system.start_control()
    system.start_worker("--threads", "8")
    return Pooled(system, pooler)


def stream_of(system: Distributed, job_id: str) -> str:
    """Return all that a live stream of a job's events says, to its end."""
    url = f"http://127.0.0.1:{system.port}/v1/jobs/{job_id}/events"
    return httpx.get(url, headers={"Accept": "text/event-stream"}, timeout=60).text


def test_everything_works_through_a_transaction_pooler(pooled: Pooled, tmp_path: Path) -> None:
    api = pooled.system.api
    assert api.wait(api.submit("diagnostics.echo", {"value": "through"}))["result"] == {"value": "through"}

    slow = api.submit("diagnostics.sleep", {"seconds": 1.5, "steps": 5})
    events = stream_of(pooled.system, slow)
    assert [kind for kind in ("submitted", "started", "progress", "succeeded") if f"event: {kind}" in events]
    assert (done := api.wait(slow))["status"] == "succeeded"
    assert done["progress"]["percent"] == 100

    endless = api.submit("e2e.patient", {"attempt": 2})
    api.until(endless, lambda job: job["status"] == "running")
    api.cancel(endless)
    assert api.wait(endless)["status"] == "cancelled"

    again = api.submit("diagnostics.fail", {"succeed_on_attempt": 2})
    ledger = tmp_path / "ledger"
    ids = [job_id for _ in range(3) for job_id in api.submit_batch(ledger_jobs(ledger, 200))]
    ids += [api.submit("e2e.ledger", {"path": str(ledger)}) for _ in range(20)]
    assert api.wait(again)["attempt"] == 2
    pooled.system.wait_until_none_live()
    assert sorted(job_id for job_id, _, _ in runs_in(ledger)) == sorted(ids)

    gate = tmp_path / "gate"
    running = api.submit("e2e.gate", {"path": str(gate)})
    api.until(running, lambda job: job["status"] == "running")
    pooled.pooler.stop()
    gate.touch()
    pooled.pooler.start()
    pooled.system.wait_until_ready(pooled.system.processes["api"])
    assert (job := api.wait(running))["status"] == "succeeded"
    assert job["attempt"] == 1
    assert api.wait(api.submit("e2e.noop"))["status"] == "succeeded"
