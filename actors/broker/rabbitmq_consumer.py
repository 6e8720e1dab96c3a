"""The broker through which Dramatiq's worker consumes RabbitMQ."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

import structlog
from dramatiq import Message, MessageProxy, Middleware
from pika.channel import Channel
from pika.frame import Method
from pika.spec import Basic, BasicProperties

from callboard.actors.broker.amqp import Rabbitmq, amqp_name
from callboard.actors.broker.base import JobBroker, JobConsumer, JobMessage
from callboard.actors.broker.connection import open_connection, reconnecting
from callboard.actors.broker.messages import MalformedMessage, decode
from callboard.actors.broker.transport import TransportError

_log = structlog.get_logger(__name__)


class RabbitmqBroker(JobBroker):
    """Consumes ``callboard.*`` queues for a ``dramatiq.Worker``, with one thread and one connection per queue.

    Args:
        rabbitmq: where RabbitMQ is.
        middleware: Dramatiq middleware; none by default.
    """

    def __init__(self, rabbitmq: Rabbitmq, middleware: Sequence[Middleware] = ()) -> None:
        super().__init__(middleware)
        self.rabbitmq = rabbitmq

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 30_000) -> RabbitmqConsumer:
        """Return a consumer of a queue, which is declared if it does not exist. Does not wait for RabbitMQ.

        Args:
            prefetch: most unacknowledged messages, 1 to 65,535.
            timeout: longest time, in milliseconds, that ``next()`` waits.
        """
        return RabbitmqConsumer(self, queue_name, prefetch, timeout / 1000)


class RabbitmqConsumer(JobConsumer):
    """The messages of one queue, for as long as the worker runs. It reconnects by itself.

    Dramatiq's own consumer pauses for three seconds after each failed connection, and a job that ends after a reconnect
    acknowledges the wrong message there, as delivery tags start again. Here a message is acknowledged to the session
    that delivered it. Once that session is lost, RabbitMQ delivers the message again, and the job's row makes that
    harmless.
    """

    def __init__(self, broker: RabbitmqBroker, queue: str, prefetch: int, timeout: float) -> None:
        self._broker = broker
        self._queue = queue
        self._prefetch = prefetch
        self._timeout = timeout
        self._session: _Session | None = None
        self._backoff = reconnecting()
        self._retry_at = 0.0
        broker.report(queue, consuming=False)

    def __next__(self) -> JobMessage | None:
        """Return the next message. None if there is none within the timeout; after other events even sooner."""
        self._broker.report_poll(self._queue)
        if self._broker.draining:
            self._drain()
        try:
            if self._session is None:
                self._session = self._open_session()
            return self._usable(self._session) if self._session is not None else None
        except TransportError as error:
            self._lose(str(error))
            return None

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Do nothing: RabbitMQ requeues unacknowledged messages when :meth:`close` closes the connection."""

    def close(self) -> None:
        """Acknowledge finished messages and close the connection; RabbitMQ requeues the others."""
        if self._session is not None:
            self._session.close()
            self._session = None
        self._broker.forget(self._queue)

    def _drain(self) -> None:
        if self._session is not None:
            self._session.take_no_more()
        self._retry_at = math.inf  # a session that is lost from here on is not replaced
        self._broker.report(self._queue, consuming=False, error="this worker takes no more jobs")

    def _open_session(self) -> _Session | None:
        wait = self._retry_at - time.monotonic()
        if wait > 0:
            time.sleep(min(wait, self._timeout))
            return None
        return _Session(self._broker.rabbitmq, self._queue, self._prefetch, self._timeout, self._on_start)

    def _usable(self, session: _Session) -> JobMessage | None:
        delivery = session.next()
        if delivery is None:
            return None
        tag, body = delivery
        try:
            message = decode(body, self._queue)
        except MalformedMessage as error:
            _log.error("message_dropped", queue=self._queue, reason=str(error), size=len(body))
        else:
            if self._broker.can_run(message):
                return _RabbitmqMessage(message, session, tag)
        session.finish(tag)
        return None

    def _on_start(self) -> None:
        self._backoff.reset()
        self._broker.report(self._queue, consuming=True)
        _log.info("consuming", queue=self._queue)

    def _lose(self, error: str) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()
        if self._broker.draining:
            return
        delay = self._backoff.next()
        self._retry_at = time.monotonic() + delay
        state = self._broker.consuming().get(self._queue)
        if state is None or state.error != error:  # an outage is one warning, whatever the number of attempts
            _log.warning("not_consuming", queue=self._queue, reason=error, retry_in=round(delay, 1))
        self._broker.report(self._queue, consuming=False, error=error)


class _Session:
    """One connection that consumes one queue. Delivery tags are valid within it only.

    :meth:`finish` and :meth:`requeue` are for all threads, the others for the session's own.
    """

    def __init__(
        self, rabbitmq: Rabbitmq, queue: str, prefetch: int, tick: float, on_start: Callable[[], None]
    ) -> None:
        self._rabbitmq = rabbitmq
        self._queue = queue
        self._prefetch = prefetch
        self._on_start = on_start
        self._deliveries: deque[tuple[int, bytes]] = deque()
        self._unacknowledged: dict[int, None] = {}  # in order of delivery, which is the order of tags
        self._finished: deque[int] = deque()
        self._requeued: deque[int] = deque()
        self._consumer_tag: str | None = None
        self._taking = True
        self._waiting = False
        self._failure: TransportError | None = None
        self._link = open_connection(rabbitmq, f"worker {queue}", tick)
        self._start_by: float | None = time.monotonic() + rabbitmq.connect_timeout
        self._channel: Channel = self._link.connection.channel(on_open_callback=self._on_open)

    def next(self) -> tuple[int, bytes] | None:
        """Return tag and body of the next message; None if there is none within a tick, or after another event.

        Raises:
            TransportError: the session is over.
        """
        if not self._deliveries:
            self._waiting = True  # before _finished is read: a finish() from here on wakes this thread
            self._acknowledge()
            self._link.poll()
            self._waiting = False
            if self._failure is not None:
                raise self._failure
            if self._start_by is not None and time.monotonic() > self._start_by:
                # A quorum queue without a leader accepts the request and never replies.
                raise self._link.error(TimeoutError())
        return self._deliveries.popleft() if self._deliveries else None

    def finish(self, tag: int) -> None:
        """Acknowledge a message soon. One wake-up serves all that finish before the session's thread is awake."""
        self._finished.append(tag)
        self._wake()

    def requeue(self, tag: int) -> None:
        """Have RabbitMQ deliver a message to another consumer soon."""
        self._requeued.append(tag)
        self._wake()

    def take_no_more(self) -> None:
        """Stop consuming, and requeue the messages that were not taken from here. Acknowledging goes on."""
        if not self._taking:
            return
        self._taking = False
        if self._consumer_tag is not None and self._channel.is_open:
            self._channel.basic_cancel(
                self._consumer_tag
            )  # pika rejects what RabbitMQ delivers until it has the cancel
        while self._deliveries:
            self._requeued.append(self._deliveries.popleft()[0])

    def close(self) -> None:
        """Acknowledge finished messages and close the connection; RabbitMQ requeues the others."""
        self._waiting = False
        self._acknowledge()
        self._link.close()

    def _wake(self) -> None:
        if self._waiting:
            self._waiting = False
            self._link.call_soon(self._acknowledge)

    def _acknowledge(self) -> None:
        self._reject()
        finished = set()
        while self._finished:
            finished.add(self._finished.popleft())
        finished &= self._unacknowledged.keys()  # a message may be finished twice; RabbitMQ accepts one ack
        if not finished or not self._channel.is_open:
            return
        # Messages mostly finish in order: one ack covers all before the first that still runs.
        last = 0
        for tag in self._unacknowledged:
            if tag not in finished:
                break
            last = tag
        if last:
            self._channel.basic_ack(last, multiple=True)
        for tag in finished:
            del self._unacknowledged[tag]
            if tag > last:
                self._channel.basic_ack(tag)

    def _reject(self) -> None:
        while self._requeued:
            tag = self._requeued.popleft()
            if tag in self._unacknowledged and self._channel.is_open:
                del self._unacknowledged[tag]
                self._channel.basic_reject(tag, requeue=True)

    def _on_open(self, channel: Channel) -> None:
        if not self._taking:
            return
        channel.add_on_close_callback(self._on_channel_close)
        channel.add_on_cancel_callback(self._on_cancel)
        channel.basic_qos(prefetch_count=self._prefetch)
        channel.queue_declare(**self._rabbitmq.declaration(self._queue))
        self._consumer_tag = channel.basic_consume(
            amqp_name(self._queue), self._on_delivery, callback=self._on_consuming
        )

    def _on_consuming(self, _frame: Method[Basic.ConsumeOk]) -> None:
        self._start_by = None
        if self._taking:
            self._on_start()

    def _on_delivery(self, _channel: Channel, method: Basic.Deliver, _properties: BasicProperties, body: bytes) -> None:
        self._unacknowledged[method.delivery_tag] = None
        self._deliveries.append((method.delivery_tag, body))

    def _on_cancel(self, _frame: Method[Basic.Cancel]) -> None:
        self._failure = TransportError(f"RabbitMQ at {self._link.address}: the queue was deleted")

    def _on_channel_close(self, _channel: Channel, reason: Exception) -> None:
        self._failure = self._link.error(reason)


class _RabbitmqMessage(JobMessage):
    def __init__(self, message: Message[None], session: _Session, tag: int) -> None:
        super().__init__(message)
        self._session = session
        self._tag = tag

    def acknowledge(self) -> None:
        self._session.finish(self._tag)

    def requeue(self) -> None:
        self._session.requeue(self._tag)
