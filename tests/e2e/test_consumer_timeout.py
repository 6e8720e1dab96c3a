"""Hazard 6: RabbitMQ takes back messages that stay unacknowledged for longer than its consumer timeout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.system import Distributed
from tests.services.rabbitmq import RabbitmqServer

pytestmark = pytest.mark.faults


@pytest.fixture
def impatient(rabbitmq_server: RabbitmqServer) -> Iterator[None]:
    """RabbitMQ waits a second for acknowledgements on new channels, and checks every half second."""
    rabbitmq_server.evaluate(
        "application:set_env(rabbit, consumer_timeout, 1000), application:set_env(rabbit, channel_tick_interval, 500)"
    )
    yield
    rabbitmq_server.evaluate(
        "application:set_env(rabbit, consumer_timeout, 1800000), "
        "application:set_env(rabbit, channel_tick_interval, 60000)"
    )


@pytest.mark.usefixtures("impatient")
def test_a_job_longer_than_the_consumer_timeout_runs_once(workerless: Distributed, tmp_path: Path) -> None:
    """The channel is closed under it, and its message delivered again: to a job that is not waiting."""
    api = workerless.api
    worker = workerless.start_worker("--threads", "2")
    gate = tmp_path / "gate"
    long = api.submit("e2e.gate", {"path": str(gate)})
    api.until(long, lambda job: job["status"] == "running")
    while "delivery acknowledgement" not in worker.log():
        assert api.wait(api.submit("e2e.noop"))["status"] == "succeeded"
    # It consumes again, and nothing is left behind.
    for _ in range(5):
        assert api.wait(api.submit("e2e.noop"))["status"] == "succeeded"
    assert api.job(long)["status"] == "running"
    gate.touch()
    assert (job := api.wait(long))["status"] == "succeeded"
    assert job["attempt"] == 1
    assert [each["outcome"] for each in api.attempts(long)] == ["succeeded"]
    assert workerless.rows("SELECT 1 FROM job_attempts WHERE outcome <> 'succeeded'") == []
