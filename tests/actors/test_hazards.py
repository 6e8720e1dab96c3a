"""What Dramatiq and RabbitMQ do to a job backend, and the tests that fail without what is done about it.

 1. Middleware fails open: a hook that raises is logged, and the actor runs.
    here: test_no_job_depends_on_a_hook
 2. An interrupt in a hook kills the worker's thread for good.
    here: test_dramatiq_interrupts_nothing
    tests/actors/execution/test_interrupts.py: test_a_guarded_block_is_not_torn
    tests/e2e/test_worker_life.py: test_a_process_with_a_dead_thread_is_replaced
 3. Delivery tags start again after a reconnect: a late acknowledgement hits another message.
    tests/actors/broker/test_rabbitmq_consumer.py: test_late_acknowledgement_spares_the_message_that_has_its_tag_now
 4. Dramatiq's shutdown ends before its jobs do.
    tests/e2e/test_workers.py: test_a_worker_that_stops_lets_its_job_end
    tests/e2e/test_workers.py: test_dramatiq_starts_the_same_worker
 5. Publishing is not confirmed, blocks for ever on a memory alarm, and fails in many ways.
    tests/actors/broker/test_publisher.py: test_unroutable_messages_are_not_confirmed_and_their_queue_is_declared
    tests/actors/broker/test_publisher.py: test_blocked_publishing_is_an_error_until_the_alarm_clears
    tests/actors/broker/test_publisher.py: test_silent_broker_is_an_error_within_bounds
    tests/actors/broker/test_publisher.py: test_second_address_serves_when_the_first_does_not
    tests/actors/broker/test_publisher.py: test_a_queue_without_a_leader_holds_up_the_others_once
 6. Unacknowledged messages are delivered again after the consumer timeout; delayed ones sit in memory.
    tests/e2e/test_consumer_timeout.py: test_a_job_longer_than_the_consumer_timeout_runs_once
    tests/actors/broker/test_rabbitmq_consumer.py: test_no_other_queues_are_made
 7. A queue with other arguments makes a consumer restart for ever in a process that seems healthy.
    tests/actors/broker/test_rabbitmq_consumer.py: test_queue_declared_otherwise_shows_until_it_is_deleted
    tests/e2e/test_worker_life.py: test_a_worker_that_rabbitmq_refuses_is_alive_but_not_ready
 8. Prefetched messages hide from priorities.
    tests/e2e/test_order.py: test_priority_then_age
 9. Quorum queues need other arguments.
    tests/actors/broker/test_publisher.py: test_settings_make_parameters
    tests/e2e/test_workers.py: test_up_on_a_given_database_and_quorum_queues
10. A worker emits no event to middleware when its process has booted; actors bind to the broker at import.
    here: test_middleware_hears_of_the_boot
    tests/e2e/test_handlers.py: test_an_actor_has_the_broker_of_its_process
11. Dramatiq's asyncio actors poll, and do not run without its middleware.
    tests/e2e/test_handlers.py: test_an_async_handler
12. The stub broker grows, keeps frames, and knows no priority.
    tests/actors/broker/test_local.py: test_failed_actors_leave_nothing_in_memory
    tests/actors/broker/test_base.py: test_higher_priority_first_then_first_in_first_out
13. Confirms one by one cost a round trip each.
    here: test_confirms_are_pipelined
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import dramatiq
import pytest

from callboard.actors.broker.amqp import Rabbitmq
from callboard.actors.broker.local import LocalBroker
from callboard.actors.broker.publisher import RabbitmqTransport
from callboard.actors.broker.rabbitmq_consumer import RabbitmqBroker
from callboard.actors.types.loading import load_job_types
from callboard.actors.worker_process.runtime import WorkerRuntime
from callboard.db.settings import Settings
from callboard.processes.signals import StopSignal
from callboard.processes.worker import RunningWorker, WorkerOptions
from tests.actors.conftest import dispatches

pytestmark = pytest.mark.xdist_group("rabbitmq")

_ROOT = Path(__file__).parents[2]


def test_every_hazard_names_tests_that_exist() -> None:
    assert __doc__ is not None
    numbers = [int(number) for number in re.findall(r"^ ?(\d+)\. ", __doc__, re.MULTILINE)]
    assert numbers == list(range(1, 14))
    named = re.findall(r"^    (\S+): (test_\w+)$", __doc__, re.MULTILINE)
    sources = {place: (Path(__file__) if place == "here" else _ROOT / place).read_text() for place, _ in named}
    assert [test for place, test in named if f"def {test}(" not in sources[place]] == []


def test_no_job_depends_on_a_hook() -> None:
    """Of the hooks that Dramatiq calls, ours start and stop things."""
    hooks = {name for name in vars(WorkerRuntime) if name.startswith(("before_", "after_"))}
    assert hooks == {"before_worker_boot", "after_worker_boot", "before_worker_shutdown", "after_worker_shutdown"}


def test_dramatiq_interrupts_nothing() -> None:
    """Its TimeLimit and ShutdownNotifications raise in the middle of a claim or a record."""
    assert RabbitmqBroker(Rabbitmq.at("amqp://user:secret@nowhere.invalid/")).middleware == []
    assert LocalBroker().middleware == []


@pytest.fixture
def stop() -> Iterator[StopSignal]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    stop = StopSignal()
    yield stop
    for number, handler in before.items():
        signal.signal(number, handler)
    stop.close()


def test_middleware_hears_of_the_boot(settings: Settings, stop: StopSignal) -> None:
    events = []

    class Listening(dramatiq.Middleware):
        def after_process_boot(self, _broker: dramatiq.Broker) -> None:
            events.append("boot")

    broker = LocalBroker([Listening()])
    worker = RunningWorker(settings, load_job_types((), diagnostics=True), broker, WorkerOptions(threads=1), stop)
    worker.stop()
    assert events == ["boot"]


def test_confirms_are_pipelined(transport: RabbitmqTransport, queue: str) -> None:
    """Compared with each other, as both depend on the machine."""
    transport.depths([queue])
    transport.publish(dispatches(queue, 500))
    start = time.perf_counter()
    for _ in range(100):
        transport.publish(dispatches(queue, 1))
    one_by_one = (time.perf_counter() - start) / 100
    start = time.perf_counter()
    assert len(transport.publish(dispatches(queue, 2_000))) == 2_000
    assert (time.perf_counter() - start) / 2_000 < one_by_one / 2
