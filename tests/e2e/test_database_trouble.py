"""PostgreSQL restarts, dies, or has no connection left: what handlers have produced is recorded all the same."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg
import pytest

from callboard.embedded.postgres import EmbeddedPostgres
from tests.e2e.stage import Stage
from tests.e2e.system import Distributed
from tests.services.rabbitmq import RabbitmqServer, fresh_vhost


@pytest.fixture
def postgres_server() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of the test alone."""
    directory = Path(tempfile.mkdtemp(prefix="callboard-test-trouble-"))
    server = EmbeddedPostgres(directory, durable=False)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def system(stage: Stage, postgres_server: EmbeddedPostgres, rabbitmq_server: RabbitmqServer) -> Distributed:
    """All processes, on ``postgres_server``; the lease is long enough for an outage."""
    amqp_url = stage.stack.enter_context(fresh_vhost(rabbitmq_server))
    system = stage.put_up(Distributed, database_url=postgres_server.ensure_running(), amqp_url=amqp_url, lease_ttl="60")
    system.start_control()
    system.start_worker("--threads", "4")
    return system


def finish(gate: Path) -> None:
    """Let a job ``e2e.reported`` end, and wait until its handler has returned."""
    gate.touch()
    while gate.exists():
        time.sleep(0.02)


def test_results_outlive_outages_of_postgresql(
    system: Distributed, postgres_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    api = system.api
    for number, outage in enumerate((stop, kill, exhaust)):
        gate = tmp_path / f"gate-{number}"
        running = api.submit("e2e.reported", {"path": str(gate)}, max_retries=0)
        queued = api.submit_batch([{"type": "e2e.noop", "payload": {}} for _ in range(20)])
        later = api.submit("e2e.noop", delay=1.0)
        api.until(running, lambda job: job["status"] == "running")
        with ExitStack() as over:
            outage(postgres_server, over)
            finish(gate)
            time.sleep(2)  # the outage goes on; whoever gives up by then has lost the result
        system.wait_until_ready(system.processes["api"])
        job = api.wait(running)
        assert (job["status"], job["attempt"], job["result"]) == ("succeeded", 1, "kept"), outage
        for job_id in [*queued, later]:
            assert api.wait(job_id)["status"] == "succeeded", outage
        assert system.rows("SELECT 1 FROM job_attempts WHERE outcome = 'failed'") == []
    assert [process.name for process in system.processes.values() if not process.running] == []
    assert "process_died" not in system.logs()


def stop(server: EmbeddedPostgres, over: ExitStack) -> None:
    """Stop PostgreSQL in good order, until ``over`` ends."""
    server.stop()
    over.callback(server.start)


def kill(server: EmbeddedPostgres, over: ExitStack) -> None:
    """End PostgreSQL at once, until ``over`` ends."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    over.callback(server.start)
    over.callback(server.stop)


def exhaust(server: EmbeddedPostgres, over: ExitStack) -> None:
    """Take all connections that PostgreSQL has, those of others included, until ``over`` ends."""
    url = server.ensure_running()
    first = over.enter_context(psycopg.connect(url, autocommit=True, application_name="greedy"))
    for _ in range(3):
        first.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND application_name <> 'greedy'"
        )
        with suppress(psycopg.OperationalError):
            while True:
                over.enter_context(psycopg.connect(url, application_name="greedy"))
