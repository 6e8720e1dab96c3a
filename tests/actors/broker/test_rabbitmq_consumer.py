"""What RabbitMQ and the network do to a worker."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import dramatiq
import pytest
from structlog.testing import capture_logs

from callboard.actors.broker.amqp import Rabbitmq
from callboard.actors.broker.base import ConsumerState
from callboard.actors.broker.publisher import RabbitmqTransport
from callboard.actors.broker.rabbitmq_consumer import RabbitmqBroker
from tests.actors.conftest import Handler, amqp_channel, depth_of, dispatches, take, until_consumer
from tests.services.rabbitmq import RabbitmqServer
from tests.support.until import until

pytestmark = [pytest.mark.xdist_group("rabbitmq"), pytest.mark.faults]

StartWorker = Callable[..., dramatiq.Worker]


@pytest.fixture
def broker(rabbitmq: Rabbitmq) -> RabbitmqBroker:
    return RabbitmqBroker(rabbitmq)


@pytest.fixture
def vhost(vhost_url: str) -> str:
    return vhost_url.rpartition("/")[2]


def _until_consuming_again(broker: RabbitmqBroker, queue: str, before: ConsumerState) -> None:
    until_consumer(broker, queue, lambda state: state.consuming and state.since > before.since)


def test_late_acknowledgement_spares_the_message_that_has_its_tag_now(
    broker: RabbitmqBroker, transport: RabbitmqTransport, rabbitmq_server: RabbitmqServer, queue: str
) -> None:
    Handler().declare(broker, queue)
    transport.depths([queue])
    consumer = broker.consume(queue, prefetch=1, timeout=50)
    [slow] = transport.publish(dispatches(queue, 1))
    late = take(consumer)  # tag 1 of the first session
    [urgent] = transport.publish(dispatches(queue, 1, priority=9))

    rabbitmq_server.close_connections()
    assert take(consumer).message_id == f"{urgent.attempt_id.job_id}:1"  # tag 1 of the second session
    consumer.ack(late)
    consumer.close()

    assert late.message_id == f"{slow.attempt_id.job_id}:1"
    until(lambda: depth_of(transport, queue) == 2)


def test_queue_declared_otherwise_shows_until_it_is_deleted(
    broker: RabbitmqBroker, vhost_url: str, queue: str, start_worker: StartWorker, transport: RabbitmqTransport
) -> None:
    with amqp_channel(vhost_url) as channel:
        channel.queue_declare(f"callboard.{queue}", durable=True)
        handler = Handler()
        start_worker(broker, queue, handler)
        state = until_consumer(broker, queue, lambda state: "406" in (state.error or ""))
        assert not state.consuming
        assert "delete the queue" in (state.error or "")

        channel.queue_delete(f"callboard.{queue}")
    assert until_consumer(broker, queue).error is None
    [sent] = transport.publish(dispatches(queue, 1))
    assert handler.wait(lambda ids: ids == [sent.attempt_id.job_id])


def test_queue_deleted_under_a_consumer_is_declared_again(
    broker: RabbitmqBroker,
    transport: RabbitmqTransport,
    rabbitmq_server: RabbitmqServer,
    vhost: str,
    queue: str,
    start_worker: StartWorker,
) -> None:
    handler = Handler()
    start_worker(broker, queue, handler)
    before = until_consumer(broker, queue)

    with capture_logs() as logs:
        rabbitmq_server.delete_queues(vhost)
        _until_consuming_again(broker, queue, before)

    [warning] = [entry for entry in logs if entry["event"] == "not_consuming"]
    assert warning["reason"].endswith("the queue was deleted")
    [sent] = transport.publish(dispatches(queue, 1))
    assert handler.wait(lambda ids: ids == [sent.attempt_id.job_id])


@pytest.mark.parametrize("end", [RabbitmqServer.stop, RabbitmqServer.kill])
@pytest.mark.parametrize("queue_type", ["classic", "quorum"])
def test_worker_goes_on_when_rabbitmq_is_back(
    vhost_url: str,
    rabbitmq_server: RabbitmqServer,
    queue: str,
    queue_type: Any,
    start_worker: StartWorker,
    end: Callable[[RabbitmqServer], None],
) -> None:
    rabbitmq = Rabbitmq.at(vhost_url, queue_type=queue_type, connect_timeout=2)
    broker = RabbitmqBroker(rabbitmq)
    transport = RabbitmqTransport(rabbitmq, confirm_timeout=5)
    handler = Handler(held=True)
    worker = start_worker(broker, queue, handler)
    before = until_consumer(broker, queue)
    sent = transport.publish(dispatches(queue, 3))
    assert len(sent) == 3
    assert handler.wait(lambda ids: len(ids) == 1)

    with capture_logs() as logs:
        end(rabbitmq_server)
        lost = until_consumer(broker, queue, lambda state: not state.consuming and bool(state.error))
        handler.let_go(1)  # the job ends while there is nobody to acknowledge to
        rabbitmq_server.start()
        _until_consuming_again(broker, queue, before)

    assert f"127.0.0.1:{rabbitmq_server.port}" in (lost.error or "")
    assert rabbitmq_server.password not in (lost.error or "")
    assert rabbitmq_server.password not in str(logs)
    handler.let_go()
    assert handler.wait(lambda ids: {each.attempt_id.job_id for each in sent} <= set(ids) and len(ids) >= 4)
    until(lambda: depth_of(transport, queue) == 0)
    assert all(thread.is_alive() for thread in [*worker.workers, *worker.consumers.values()])
    transport.close()


def test_worker_that_finds_no_rabbitmq_stops_within_seconds(
    rabbitmq: Rabbitmq, rabbitmq_server: RabbitmqServer, queue: str, start_worker: StartWorker
) -> None:
    broker = RabbitmqBroker(rabbitmq)
    rabbitmq_server.kill()
    worker = start_worker(broker, queue, Handler())
    until_consumer(broker, queue, lambda state: "Connection refused" in (state.error or ""))

    start = time.monotonic()
    worker.stop()

    assert time.monotonic() - start < 3
    assert broker.consuming() == {}


def _malformed(queue: str) -> Iterator[bytes]:
    whole: dict[str, Any] = {
        "queue_name": queue,
        "actor_name": "test.job",
        "args": ["019aa1f0-7c00-7000-8000-000000000001", 1],
        "kwargs": {},
        "options": {},
        "message_id": "x",
        "message_timestamp": 1,
    }
    yield b"\xff\x00 no JSON"
    yield b"[]"
    yield b"null"
    yield json.dumps(whole | {"queue_name": "elsewhere"}).encode()
    yield json.dumps(whole | {"args": whole["args"][:1]}).encode()
    yield json.dumps(whole | {"args": {"a": 1, "b": 2}}).encode()
    yield json.dumps(whole | {"args": [1, "0190"]}).encode()
    yield json.dumps(whole | {"args": ["no UUID", 1]}).encode()
    yield json.dumps(whole | {"actor_name": ["test.job"]}).encode()
    yield json.dumps({key: value for key, value in whole.items() if key != "message_id"}).encode()


def test_malformed_messages_are_dropped_and_logged(
    broker: RabbitmqBroker, transport: RabbitmqTransport, vhost_url: str, queue: str, start_worker: StartWorker
) -> None:
    transport.depths([queue])
    bodies = list(_malformed(queue))
    with amqp_channel(vhost_url) as channel:
        for body in bodies:
            channel.basic_publish("", f"callboard.{queue}", body)
    [sent] = transport.publish(dispatches(queue, 1, priority=0))
    handler = Handler()

    with capture_logs() as logs:
        worker = start_worker(broker, queue, handler)
        assert handler.wait(bool)

    assert handler.calls == [(sent.attempt_id.job_id, 1)]
    assert len([entry for entry in logs if entry["event"] == "message_dropped"]) == len(bodies)
    assert worker.workers[0].is_alive()
    worker.stop()
    assert transport.depths([queue]) == {queue: 0}


def test_no_other_queues_are_made(
    broker: RabbitmqBroker, rabbitmq_server: RabbitmqServer, vhost: str, queue: str, start_worker: StartWorker
) -> None:
    start_worker(broker, queue, Handler())
    until_consumer(broker, queue)

    names = rabbitmq_server.evaluate(f'[element(4, amqqueue:get_name(Q)) || Q <- rabbit_amqqueue:list(<<"{vhost}">>)]')

    assert names == f'[<<"callboard.{queue}">>]'
