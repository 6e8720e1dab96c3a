from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

import dramatiq
import pika
import pytest

from callboard.actors.broker.amqp import Rabbitmq
from callboard.actors.broker.base import ConsumerState, JobBroker, JobMessage
from callboard.actors.broker.local import LocalBroker, LocalTransport
from callboard.actors.broker.publisher import RabbitmqTransport
from callboard.actors.broker.rabbitmq_consumer import RabbitmqBroker
from callboard.actors.broker.transport import Dispatch, Transport, TransportError
from callboard.db.rules.attempts import AttemptId
from tests.services.rabbitmq import GIVEN_URL, RabbitmqServer, fresh_vhost
from tests.support.until import until

JOB_TYPE = "test.job"


@pytest.fixture
def vhost_url(rabbitmq_server: RabbitmqServer) -> Iterator[str]:
    """An empty vhost of ``rabbitmq_server``."""
    with fresh_vhost(rabbitmq_server) as url:
        yield url


@pytest.fixture
def queue() -> str:
    """A queue name of this test alone."""
    return f"test_{secrets.token_hex(6)}"


@pytest.fixture
def rabbitmq(vhost_url: str) -> Rabbitmq:
    """Classic queues in an empty vhost."""
    return Rabbitmq.at(vhost_url, connect_timeout=2)


@pytest.fixture
def transport(rabbitmq: Rabbitmq) -> Iterator[RabbitmqTransport]:
    """Publishes to ``rabbitmq``."""
    with publishing_to(rabbitmq) as transport:
        yield transport


@contextmanager
def publishing_to(rabbitmq: Rabbitmq) -> Iterator[RabbitmqTransport]:
    """Yield a transport, and see to it that its thread ends."""
    transport = RabbitmqTransport(rabbitmq, confirm_timeout=5)
    yield transport
    transport.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "rabbitmq-publisher"]


@dataclass(frozen=True)
class Conveyor:
    """A broker, and the transport that publishes to it."""

    broker: JobBroker
    transport: Transport


@pytest.fixture(params=["local", "classic", "quorum"])
def conveyor(request: pytest.FixtureRequest, queue: str) -> Iterator[Conveyor]:
    """All that carries messages; for tests of what they have in common."""
    if request.param == "local":
        local = LocalBroker()
        yield Conveyor(local, LocalTransport(local))
        return
    url = GIVEN_URL or request.getfixturevalue("vhost_url")
    rabbitmq = Rabbitmq.at(url, queue_type=request.param)
    with publishing_to(rabbitmq) as transport:
        yield Conveyor(RabbitmqBroker(rabbitmq), transport)
    with amqp_channel(url) as channel:
        channel.queue_delete(f"callboard.{queue}")


@contextmanager
def amqp_channel(url: str) -> Iterator[pika.adapters.blocking_connection.BlockingChannel]:
    """Yield a channel of plain pika, to do to RabbitMQ what others do."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        yield connection.channel()


def dispatches(queue: str, count: int, priority: int = 5) -> list[Dispatch]:
    """Return the first attempts of new jobs."""
    return [Dispatch(AttemptId(uuid4(), 1), JOB_TYPE, queue, priority) for _ in range(count)]


class Handler:
    """An actor that keeps its calls in order, and stays in each of them until it is let go."""

    def __init__(self, *, held: bool = False) -> None:
        self.calls: list[tuple[UUID, int]] = []
        self._changed = threading.Condition()
        self._permits: float = 0 if held else float("inf")

    def __call__(self, job_id: str, attempt: int) -> None:
        with self._changed:
            self.calls.append((UUID(job_id), attempt))
            number = len(self.calls)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._permits >= number, 60)

    def declare(self, broker: JobBroker, queue: str, job_type: str = JOB_TYPE) -> dramatiq.Actor[[str, int], None]:
        """Become the actor of a job type."""
        return dramatiq.actor(actor_name=job_type, queue_name=queue, broker=broker)(self.__call__)

    def let_go(self, calls: float = float("inf")) -> None:
        """Let the first ``calls`` calls return."""
        with self._changed:
            self._permits = calls
            self._changed.notify_all()

    def wait(self, condition: Callable[[list[UUID]], bool], timeout: float = 30) -> bool:
        """Wait until ``condition`` holds for the job ids called so far."""
        with self._changed:
            return self._changed.wait_for(lambda: condition([job_id for job_id, _ in self.calls]), timeout)


def take(consumer: dramatiq.Consumer) -> JobMessage:
    """Return the next message."""
    message = until(lambda: next(consumer), what="a message")
    assert isinstance(message, JobMessage)
    return message


def until_consumer(
    broker: JobBroker, queue: str, condition: Callable[[ConsumerState], bool] = lambda state: state.consuming
) -> ConsumerState:
    """Return the state of the queue's consumer, once it fulfils the condition."""

    def fulfilled() -> ConsumerState | None:
        state = broker.consuming().get(queue)
        return state if state is not None and condition(state) else None

    state = until(fulfilled, what=f"the state of {queue}'s consumer", within=45)
    assert state is not None
    return state


def depth_of(transport: Transport, queue: str) -> int | None:
    """Return the number of messages that wait in a queue, or None while the broker is away."""
    try:
        return transport.depths([queue])[queue]
    except TransportError:
        return None


@pytest.fixture
def start_worker(request: pytest.FixtureRequest) -> Callable[..., dramatiq.Worker]:
    """Starts Dramatiq's worker with one handler; it ends with the test."""

    def start(
        broker: JobBroker,
        queue: str,
        handler: Handler,
        *,
        job_type: str = JOB_TYPE,
        threads: int = 1,
        prefetch: int = 1,
    ) -> dramatiq.Worker:
        handler.declare(broker, queue, job_type)
        worker = dramatiq.Worker(broker, worker_threads=threads, worker_timeout=100)
        worker.queue_prefetch = prefetch
        worker.start()
        request.addfinalizer(worker.stop)
        request.addfinalizer(handler.let_go)
        return worker

    return start
