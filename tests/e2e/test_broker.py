"""Messages mean nothing alone: RabbitMQ is emptied, or goes away, and every job still runs."""

from __future__ import annotations

import pika
import pytest

from callboard.actors.broker.amqp import amqp_name
from tests.e2e.system import Distributed
from tests.services.rabbitmq import RabbitmqServer

pytestmark = pytest.mark.faults

ALL_DISPATCHED = "SELECT 1 WHERE NOT EXISTS (SELECT FROM jobs WHERE dispatched_at IS NULL)"


def vhost_of(system: Distributed) -> str:
    return system.settings["amqp_url"].rsplit("/", 1)[1]


@pytest.mark.parametrize("how", ["purge", "delete_queues"])
def test_jobs_are_dispatched_again_after_their_messages_are_gone(
    workerless: Distributed, rabbitmq_server: RabbitmqServer, how: str
) -> None:
    ids = workerless.api.submit_batch([{"type": "diagnostics.noop", "payload": {}} for _ in range(50)])
    workerless.wait_for_rows(ALL_DISPATCHED)
    getattr(rabbitmq_server, how)(vhost_of(workerless))
    workerless.start_worker("--threads", "4")
    for job_id in ids:
        assert (job := workerless.api.wait(job_id))["status"] == "succeeded"
        assert job["attempt"] == 1


def test_a_queue_that_rabbitmq_refuses_does_not_hold_up_the_others(workerless: Distributed) -> None:
    """Somebody has declared it with other arguments; it is deleted, as the log advises, and its jobs run."""
    api = workerless.api
    amqp_url = workerless.settings["amqp_url"]
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        channel = connection.channel()
        channel.queue_delete(amqp_name("e2e"))
        channel.queue_declare(amqp_name("e2e"))
        refused = api.submit("e2e.noop")
        workerless.start_worker("--threads", "2")
        for _ in range(3):
            assert api.wait(api.submit("diagnostics.noop"))["status"] == "succeeded"
        assert api.job(refused)["status"] == "queued"
        assert "CALLBOARD_QUEUE_TYPE" in workerless.processes["dispatcher"].log()
        channel.queue_delete(amqp_name("e2e"))
    assert api.wait(refused)["status"] == "succeeded"


def test_submissions_go_on_without_the_broker(workerless: Distributed, rabbitmq_server: RabbitmqServer) -> None:
    api = workerless.api
    workerless.start_worker("--threads", "4")
    running = api.submit("diagnostics.sleep", {"seconds": 2})
    api.until(running, lambda job: job["status"] == "running")
    rabbitmq_server.stop()
    try:
        ids = [api.submit("diagnostics.noop") for _ in range(10)]
        ids += api.submit_batch([{"type": "diagnostics.noop", "payload": {}} for _ in range(10)])
        # What runs does not need the broker; what was submitted waits.
        assert api.wait(running)["status"] == "succeeded"
        assert {api.job(job_id)["status"] for job_id in ids} == {"queued"}
    finally:
        rabbitmq_server.start()
    for job_id in [*ids, running]:
        assert (job := api.wait(job_id))["status"] == "succeeded"
        assert job["attempt"] == 1
    assert [process.name for process in workerless.processes.values() if not process.running] == []


def test_connections_closed_by_an_operator(workerless: Distributed, rabbitmq_server: RabbitmqServer) -> None:
    api = workerless.api
    workerless.start_worker("--threads", "2")
    running = api.submit("diagnostics.sleep", {"seconds": 1.5})
    api.until(running, lambda job: job["status"] == "running")
    rabbitmq_server.close_connections()
    ids = [api.submit("diagnostics.noop") for _ in range(5)]
    for job_id in [running, *ids]:
        assert (job := api.wait(job_id))["status"] == "succeeded"
        assert job["attempt"] == 1
