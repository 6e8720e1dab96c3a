"""What the brokers promise alike: in memory, and through RabbitMQ's classic and quorum queues."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import dramatiq
import pytest
from structlog.testing import capture_logs

from callboard.actors.broker.base import FALLBACK_ACTOR
from callboard.actors.broker.transport import Dispatch
from callboard.db.errors import ConfigurationError
from callboard.db.rules.attempts import AttemptId
from tests.actors.conftest import JOB_TYPE, Conveyor, Handler, dispatches, take, until_consumer
from tests.support.until import until

pytestmark = pytest.mark.xdist_group("rabbitmq")

StartWorker = Callable[..., dramatiq.Worker]


def test_actor_gets_job_and_attempt(conveyor: Conveyor, queue: str, start_worker: StartWorker) -> None:
    handler = Handler()
    worker = start_worker(conveyor.broker, queue, handler)
    until_consumer(conveyor.broker, queue)
    sent = Dispatch(AttemptId(uuid4(), 7), JOB_TYPE, queue, 5)

    assert list(conveyor.transport.publish([sent])) == [sent]

    assert handler.wait(lambda ids: ids == [sent.attempt_id.job_id])
    assert handler.calls == [(sent.attempt_id.job_id, 7)]
    worker.stop()
    assert conveyor.transport.depths([queue]) == {queue: 0}


@pytest.mark.parametrize("count", [5_000])
def test_every_message_arrives_once(conveyor: Conveyor, queue: str, start_worker: StartWorker, count: int) -> None:
    handler = Handler()
    conveyor.transport.depths([queue])
    sent = dispatches(queue, count)
    start_worker(conveyor.broker, queue, handler, threads=8, prefetch=16)

    assert list(conveyor.transport.publish(sent)) == sent

    assert handler.wait(lambda ids: len(ids) >= count)
    assert sorted(job_id for job_id, _ in handler.calls) == sorted(each.attempt_id.job_id for each in sent)
    assert conveyor.transport.depths([queue]) == {queue: 0}


@pytest.mark.parametrize("conveyor", ["local", "classic"], indirect=True)
def test_higher_priority_first_then_first_in_first_out(
    conveyor: Conveyor, queue: str, start_worker: StartWorker
) -> None:
    conveyor.transport.depths([queue])
    sent = [replace(each, priority=index * 7 % 10) for index, each in enumerate(dispatches(queue, 40))]
    assert len(conveyor.transport.publish(sent)) == 40
    handler = Handler()

    start_worker(conveyor.broker, queue, handler, threads=1, prefetch=1)

    assert handler.wait(lambda ids: len(ids) == 40)
    expected = sorted(sent, key=lambda each: -each.priority)
    assert [job_id for job_id, _ in handler.calls] == [each.attempt_id.job_id for each in expected]


def test_depth_counts_what_no_worker_has_taken(conveyor: Conveyor, queue: str, start_worker: StartWorker) -> None:
    assert conveyor.transport.depths([queue]) == {queue: 0}
    handler = Handler(held=True)
    start_worker(conveyor.broker, queue, handler, threads=2, prefetch=3)
    conveyor.transport.publish(dispatches(queue, 10))

    assert handler.wait(lambda ids: len(ids) == 2)
    until(lambda: conveyor.transport.depths([queue]) == {queue: 7})

    handler.let_go(1)
    assert handler.wait(lambda ids: len(ids) == 3)
    until(lambda: conveyor.transport.depths([queue]) == {queue: 6})


def test_a_worker_that_stops_requeues_messages_that_were_not_started(
    conveyor: Conveyor, queue: str, start_worker: StartWorker
) -> None:
    conveyor.transport.depths([queue])
    handler = Handler(held=True)
    worker = start_worker(conveyor.broker, queue, handler, threads=1, prefetch=4)
    sent = dispatches(queue, 6)
    conveyor.transport.publish(sent)
    until(lambda: conveyor.transport.depths([queue]) == {queue: 2})

    worker.workers[0].stop()
    handler.let_go()
    worker.stop()

    assert handler.calls == [(sent[0].attempt_id.job_id, 1)]
    until(lambda: conveyor.transport.depths([queue]) == {queue: 5})
    assert conveyor.broker.consuming() == {}


def test_messages_are_acknowledged_in_any_order_and_more_than_once(conveyor: Conveyor, queue: str) -> None:
    conveyor.transport.depths([queue])
    sent = dispatches(queue, 9)
    conveyor.transport.publish(sent)
    Handler().declare(conveyor.broker, queue)
    consumer = conveyor.broker.consume(queue, prefetch=6, timeout=50)

    taken = [take(consumer) for _ in range(6)]
    for index in (2, 0, 0, 4, 1):
        consumer.ack(taken[index])
        assert len(conveyor.broker.consuming()) == 1
    taken[4].acknowledge()
    taken += [take(consumer) for _ in range(3)]
    consumer.nack(taken[8])
    since = conveyor.broker.consuming()[queue].since
    next(consumer)

    assert [message.message_id for message in taken] == [f"{each.attempt_id.job_id}:1" for each in sent]
    assert conveyor.broker.consuming()[queue].consuming
    assert conveyor.broker.consuming()[queue].since == since
    consumer.requeue([message for index, message in enumerate(taken) if index in {3, 5, 6, 7}])
    consumer.close()
    until(lambda: conveyor.transport.depths([queue]) == {queue: 4})


def test_broker_that_drains_takes_no_more_and_goes_on_with_what_it_has(conveyor: Conveyor, queue: str) -> None:
    conveyor.transport.depths([queue])
    conveyor.transport.publish(dispatches(queue, 8))
    Handler().declare(conveyor.broker, queue)
    consumer = conveyor.broker.consume(queue, prefetch=6, timeout=50)
    begun, waiting = take(consumer), take(consumer)

    conveyor.broker.drain()

    assert next(consumer) is None
    waiting.requeue()
    # Each poll of the consumer reads and writes once.
    until(lambda: next(consumer) is None and conveyor.transport.depths([queue]) == {queue: 7})
    conveyor.transport.publish(dispatches(queue, 1))
    begun.acknowledge()
    assert next(consumer) is None
    consumer.close()
    until(lambda: conveyor.transport.depths([queue]) == {queue: 8})


def test_a_consumer_that_does_not_turn_is_noticed(conveyor: Conveyor, queue: str) -> None:
    Handler().declare(conveyor.broker, queue)
    consumer = conveyor.broker.consume(queue, prefetch=1, timeout=50)
    next(consumer)
    assert conveyor.broker.stalled(30) == []
    until(lambda: conveyor.broker.stalled(0.05) == [queue])
    next(consumer)
    assert conveyor.broker.stalled(30) == []
    consumer.close()
    assert conveyor.broker.stalled(0) == []


def test_message_of_unknown_type_is_dropped_and_logged(
    conveyor: Conveyor, queue: str, start_worker: StartWorker
) -> None:
    conveyor.transport.depths([queue])
    handler = Handler()
    stray = replace(dispatches(queue, 1)[0], type="test.gone")
    known = dispatches(queue, 1)[0]
    conveyor.transport.publish([stray, known])

    with capture_logs() as logs:
        start_worker(conveyor.broker, queue, handler)
        assert handler.wait(bool)

    assert handler.calls == [(known.attempt_id.job_id, 1)]
    [entry] = [entry for entry in logs if entry["log_level"] == "error"]
    assert (entry["job_type"], entry["job_id"], entry["queue"]) == ("test.gone", str(stray.attempt_id.job_id), queue)
    assert conveyor.transport.depths([queue]) == {queue: 0}


def test_fallback_actor_gets_jobs_of_unknown_type(conveyor: Conveyor, queue: str, start_worker: StartWorker) -> None:
    conveyor.transport.depths([queue])
    handler = Handler()
    stray = replace(dispatches(queue, 1)[0], type="test.gone")
    conveyor.transport.publish([stray])

    start_worker(conveyor.broker, queue, handler, job_type=FALLBACK_ACTOR)

    assert handler.wait(lambda ids: ids == [stray.attempt_id.job_id])


def test_idle_worker_starts_and_stops_at_once(conveyor: Conveyor, queue: str, start_worker: StartWorker) -> None:
    handler = Handler()
    worker = start_worker(conveyor.broker, queue, handler, threads=8, prefetch=8)
    until_consumer(conveyor.broker, queue)
    waits = []
    for number in range(1, 22):
        start = time.monotonic()
        conveyor.transport.publish(dispatches(queue, 1))
        assert handler.wait(lambda ids, number=number: len(ids) == number)  # type: ignore[misc]
        waits.append(time.monotonic() - start)

    assert statistics.median(waits) < 0.05

    start = time.monotonic()
    worker.stop()
    assert time.monotonic() - start < 2


def test_actor_send_is_refused(conveyor: Conveyor, queue: str) -> None:
    actor = Handler().declare(conveyor.broker, queue)

    with pytest.raises(ConfigurationError, match="Submit a job instead"):
        actor.send("id", 1)


def test_actors_keep_dramatiqs_options(conveyor: Conveyor, queue: str) -> None:
    @dramatiq.actor(queue_name=queue, broker=conveyor.broker, max_retries=3, time_limit=1_000, throws=ValueError)
    def existing(_number: int) -> None: ...

    assert existing.options["max_retries"] == 3
