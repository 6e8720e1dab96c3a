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
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from callboard.embedded.postgres import EmbeddedPostgres
from tests.e2e.stage import Stage
from tests.e2e.system import Distributed, wait_for
from tests.faults.proxy import Network
from tests.services.rabbitmq import RabbitmqServer, fresh_vhost
from tests.support.until import until

pytestmark = pytest.mark.faults


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
def lease_ttl() -> str:
    """Long enough for an outage."""
    return "60"


@pytest.fixture
def system(
    stage: Stage, postgres_server: EmbeddedPostgres, rabbitmq_server: RabbitmqServer, lease_ttl: str
) -> Distributed:
    """All processes, on ``postgres_server``."""
    amqp_url = stage.stack.enter_context(fresh_vhost(rabbitmq_server))
    database_url = postgres_server.ensure_running()
    system = stage.put_up(Distributed, database_url=database_url, amqp_url=amqp_url, lease_ttl=lease_ttl)
    system.start_control()
    system.start_worker("--threads", "4")
    return system


def finish(gate: Path) -> None:
    """Let a job ``e2e.reported`` end, and wait until its handler has returned."""
    gate.touch()
    until(lambda: not gate.exists(), what="the handler's end")


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
            time.sleep(2)  # the outage goes on; a worker that gives up by then loses the result
        system.wait_until_ready(system.processes["api"])
        job = api.wait(running)
        assert (job["status"], job["attempt"], job["result"]) == ("succeeded", 1, "kept"), outage
        for job_id in [*queued, later]:
            assert api.wait(job_id)["status"] == "succeeded", outage
        assert system.rows("SELECT 1 FROM job_attempts WHERE outcome = 'failed'") == []
    assert [process.name for process in system.processes.values() if not process.running] == []
    assert "process_died" not in system.logs()


@pytest.mark.parametrize("lease_ttl", ["4"])
def test_an_outage_longer_than_the_lease(
    system: Distributed, postgres_server: EmbeddedPostgres, tmp_path: Path, lease_ttl: str
) -> None:
    """Results are kept. Jobs that still run are interrupted, as they might run elsewhere, and released."""
    api = system.api
    gate, stopped = tmp_path / "gate", tmp_path / "stopped"
    produced = api.submit("e2e.reported", {"path": str(gate)}, max_retries=0)
    running = api.submit("e2e.traced", {"path": str(stopped)}, max_retries=0)
    for job_id in (produced, running):
        api.until(job_id, lambda job: job["status"] == "running")
    with ExitStack() as over:
        stop(postgres_server, over)
        finish(gate)
        assert not stopped.exists()
        wait_for(stopped)
        time.sleep(float(lease_ttl) / 2)  # nobody has seen the worker for longer than its lease
    system.wait_until_ready(system.processes["api"])
    assert (job := api.wait(produced))["status"] == "succeeded"
    assert (job["attempt"], job["result"]) == (1, "kept")
    assert api.wait(running)["result"] == 2
    assert [each["outcome"] for each in api.attempts(running)] == ["released", "succeeded"]


def test_a_worker_that_is_cut_off_stops_what_it_runs(workerless: Distributed, tmp_path: Path) -> None:
    """The database lives, and others run its jobs when its lease is over."""
    api = workerless.api
    stopped = tmp_path / "stopped"
    with Network() as network:
        url = urlsplit(workerless.database_url)
        way = network.way_to(url.port or 5432)
        by_way = urlunsplit(url._replace(netloc=f"{url.username}:{url.password}@127.0.0.1:{way.port}"))
        workerless.start_worker("--threads", "1", "--name", "cut off", database_url=by_way)
        job_id = api.submit("e2e.traced", {"path": str(stopped)})
        api.until(job_id, lambda job: job["status"] == "running")
        workerless.start_worker("--threads", "1", "--name", "other", name="other")
        way.cut()
        job = api.wait(job_id)
        assert (job["status"], job["worker"], job["attempt"]) == ("succeeded", "other", 2)
        wait_for(stopped)
        way.heal()
        workerless.wait_for_rows("SELECT 1 FROM workers WHERE name = 'cut off' AND state = 'running'")
        workerless.processes["other"].stop()
        assert api.wait(api.submit("e2e.noop"))["worker"] == "cut off"
        assert [each["outcome"] for each in api.attempts(job_id)] == ["failed", "succeeded"]
        workerless.stop_workers()


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
