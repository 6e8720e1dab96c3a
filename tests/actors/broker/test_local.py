"""The broker in memory, where it is on its own."""

from __future__ import annotations

import gc
import logging
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import replace

import dramatiq
import pytest

from callboard.actors.broker.base import JobMessage
from callboard.actors.broker.local import LocalBroker, LocalTransport
from tests.actors.conftest import JOB_TYPE, Handler, dispatches


@pytest.fixture
def broker(queue: str) -> LocalBroker:
    broker = LocalBroker()
    Handler().declare(broker, queue)
    return broker


def test_a_message_wakes_the_consumer_at_once(broker: LocalBroker, queue: str) -> None:
    consumer = broker.consume(queue, prefetch=1, timeout=10_000)
    transport = LocalTransport(broker)
    sent = dispatches(queue, 2)
    threading.Timer(0.05, transport.publish, [sent]).start()
    start = time.monotonic()

    first = next(consumer)

    assert first is not None
    assert time.monotonic() - start < 1
    threading.Timer(0.05, first.acknowledge).start()  # allows the second
    assert next(consumer) is not None
    assert time.monotonic() - start < 2


def test_no_message_within_the_timeout(broker: LocalBroker, queue: str) -> None:
    consumer = broker.consume(queue, prefetch=1, timeout=10)
    assert next(consumer) is None

    LocalTransport(broker).publish(dispatches(queue, 2))
    assert next(consumer) is not None
    assert next(consumer) is None  # one is unacknowledged


def test_messages_wait_for_a_consumer_without_starting_one(broker: LocalBroker) -> None:
    worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=50)
    worker.start()
    try:
        LocalTransport(broker).publish(dispatches("of.another.worker", 3))

        assert "of.another.worker" not in worker.consumers
        assert LocalTransport(broker).depths(["of.another.worker", "new"]) == {"of.another.worker": 3, "new": 0}
    finally:
        worker.stop()


def test_failed_actors_leave_nothing_in_memory(
    queue: str, start_worker: Callable[..., dramatiq.Worker], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "dramatiq")  # a log record that pytest keeps has the traceback

    class Local:
        """Something that a traceback's frame would keep."""

    kept: list[weakref.ref[Local]] = []
    broker = LocalBroker()

    @dramatiq.actor(actor_name=JOB_TYPE, queue_name=queue, broker=broker)
    def failing(_job_id: str, _attempt: int) -> None:
        local = Local()
        kept.append(weakref.ref(local))
        raise RuntimeError("as it should")

    handler = Handler()
    start_worker(broker, queue, handler, job_type="test.last")
    LocalTransport(broker).publish(dispatches(queue, 50))  # more than the worker takes ahead
    LocalTransport(broker).publish([replace(each, type="test.last") for each in dispatches(queue, 1, priority=0)])

    assert handler.wait(bool)
    gc.collect()
    assert len(kept) == 50
    assert all(reference() is None for reference in kept)
    # A thread may still hold the last message that it had.
    assert sum(isinstance(each, JobMessage) for each in gc.get_objects()) < 25
