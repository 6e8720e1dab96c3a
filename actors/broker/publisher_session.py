"""What the publisher's thread does on one connection: send messages and collect confirms, declare and count queues."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from itertools import takewhile

import orjson
import structlog
from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker
from pika.frame import Method
from pika.spec import Basic, BasicProperties, Confirm, Connection, Queue

from callboard.actors.broker.amqp import Rabbitmq, amqp_name, reason_of
from callboard.actors.broker.connection import AmqpConnection
from callboard.actors.broker.messages import encode, message_id
from callboard.actors.broker.transport import HIGHEST_PRIORITY, Dispatch, TransportError

_log = structlog.get_logger(__name__)

# Between two chunks the thread reads confirms, so that they do not pile up at either end.
_CHUNK = 200
_PERSISTENT = 2
_PROPERTIES = tuple(
    BasicProperties("application/json", delivery_mode=_PERSISTENT, priority=priority)  # type: ignore[no-untyped-call]
    for priority in range(HIGHEST_PRIORITY + 1)
)


class BrokerRequest:
    """Something the calling thread waits for and the publisher's thread does."""

    def __init__(self) -> None:
        self.error: TransportError | None = None
        """Why it was not completed."""
        self._ended = threading.Event()

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    @property
    def answered(self) -> bool:
        """Whether the broker has answered any part of it."""
        raise NotImplementedError

    def wait(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds for the end, and return whether it came."""
        return self._ended.wait(timeout)

    def fail(self, error: TransportError) -> None:
        """End without having done all. What was done stays done."""
        if not self.ended:
            self.error = error
            self._ended.set()

    def begin(self, session: PublisherSession) -> None:
        """Start, in the publisher's thread."""
        raise NotImplementedError


class Publication(BrokerRequest):
    """Publish some messages."""

    def __init__(self, dispatches: Sequence[Dispatch]) -> None:
        super().__init__()
        self.confirmed: list[Dispatch] = []
        self._dispatches = dispatches
        self._sent = 0
        self._unsettled = len(dispatches)

    @property
    def answered(self) -> bool:
        return self._unsettled < len(self._dispatches)

    def begin(self, session: PublisherSession) -> None:
        """Send the next chunk, and come back for the others."""
        if self.ended:
            return
        chunk = self._dispatches[self._sent : self._sent + _CHUNK]
        for dispatch in chunk:
            session.publish(dispatch, self)
        self._sent += len(chunk)
        if self._sent < len(self._dispatches):
            session.call_soon(partial(self.begin, session))

    def settle(self, dispatch: Dispatch, *, confirmed: bool) -> None:
        """Take note of the broker's word on one message."""
        if confirmed:
            self.confirmed.append(dispatch)
        self._unsettled -= 1
        if not self._unsettled:
            self._ended.set()


class Depths(BrokerRequest):
    """Count the messages that wait in some queues."""

    def __init__(self, queues: Sequence[str]) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}
        self._unsettled = set(queues)

    @property
    def answered(self) -> bool:
        return bool(self.counts)

    def begin(self, session: PublisherSession) -> None:
        """Ask for all at once."""
        for queue in tuple(self._unsettled):
            session.declare(queue, partial(self._settle, queue))

    def _settle(self, queue: str, count: int | None) -> None:
        if count is not None:
            self.counts[queue] = count
        self._unsettled.discard(queue)
        if not self._unsettled:
            self._ended.set()


class PublisherSession:
    """One connection of the publisher. All but :meth:`perform` and :meth:`call_soon` is for its thread alone."""

    def __init__(self, link: AmqpConnection, rabbitmq: Rabbitmq) -> None:
        self.ready = False
        self._link = link
        self._rabbitmq = rabbitmq
        self._failure: TransportError | None = None
        self._blocked: TransportError | None = None
        self._request: BrokerRequest | None = None
        self._last_tag = 0
        self._unconfirmed: dict[int, tuple[Dispatch, Publication]] = {}  # by delivery tag, in order
        self._returned: set[str] = set()
        self._declaring: dict[str, list[Callable[[int | None], None]]] = {}
        self._queue_channels: dict[str, Channel] = {}
        self._refused: set[str] = set()
        link.connection.add_on_connection_blocked_callback(self._on_blocked)
        link.connection.add_on_connection_unblocked_callback(self._on_unblocked)
        self._channel: Channel = link.connection.channel(on_open_callback=self._on_open)

    def poll(self) -> None:
        """Do what there is to do, waiting for it at most one tick of the link.

        Raises:
            TransportError: the session is over.
        """
        self._link.poll()
        if self._failure is not None:
            raise self._failure

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Have the session's thread run ``callback``; for all threads."""
        self._link.call_soon(callback)

    def perform(self, request: BrokerRequest) -> None:
        """Have the session's thread start a request, the one before having ended; for all threads."""
        self._link.call_soon(partial(self._perform, request))

    def error(self, reason: str) -> TransportError:
        """Return an error that names the address."""
        return TransportError(f"RabbitMQ at {self._link.address}: {reason}")

    def give_up(self, error: TransportError) -> None:
        """End the session: the next :meth:`poll` raises ``error``."""
        self._failure = error

    def publish(self, dispatch: Dispatch, publication: Publication) -> None:
        """Send one message; ``publication`` hears what becomes of it."""
        self._last_tag += 1
        self._unconfirmed[self._last_tag] = (dispatch, publication)
        self._channel.basic_publish(
            "", amqp_name(dispatch.queue), encode(dispatch), _PROPERTIES[dispatch.priority], mandatory=True
        )

    def declare(self, queue: str, then: Callable[[int | None], None]) -> None:
        """Declare a queue, and call ``then`` with the number of messages that wait in it, or None if it is refused.

        Each queue has a channel of its own: pika has one declaration under way per channel, and a refusal closes it.
        """
        waiting = self._declaring.setdefault(queue, [])
        waiting.append(then)
        if len(waiting) > 1:
            return  # under way; the answer is for all
        channel = self._queue_channels.get(queue)
        if channel is not None:
            self._send_declare(queue, channel)
        else:
            self._link.connection.channel(on_open_callback=partial(self._on_queue_channel_open, queue))

    def _perform(self, request: BrokerRequest) -> None:
        self._request = request
        if self._blocked is not None:
            request.fail(self._blocked)
        else:
            request.begin(self)

    def _on_open(self, channel: Channel) -> None:
        channel.add_on_close_callback(self._on_channel_close)
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm, callback=self._on_confirming)

    def _on_confirming(self, _frame: Method[Confirm.SelectOk]) -> None:
        self.ready = True

    def _on_channel_close(self, _channel: Channel, reason: Exception) -> None:
        self._failure = self._link.error(reason)

    def _on_confirm(self, frame: Method[Basic.Ack | Basic.Nack]) -> None:
        last = frame.method.delivery_tag
        tags = list(takewhile(lambda tag: tag <= last, self._unconfirmed)) if frame.method.multiple else [last]
        accepted = isinstance(frame.method, Basic.Ack)
        for tag in tags:
            dispatch, publication = self._unconfirmed.pop(tag)
            publication.settle(dispatch, confirmed=accepted and not self._was_returned(dispatch))

    def _was_returned(self, dispatch: Dispatch) -> bool:
        # RabbitMQ "confirms" a message that it could not route, after returning it.
        if not self._returned or message_id(dispatch) not in self._returned:
            return False
        self._returned.discard(message_id(dispatch))
        return True

    def _on_return(self, _channel: Channel, method: Basic.Return, _properties: BasicProperties, body: bytes) -> None:
        message = orjson.loads(body)
        self._returned.add(message["message_id"])
        queue = message["queue_name"]
        if queue not in self._declaring:
            _log.info("queue_missing", queue=queue, reason=method.reply_text)
            self.declare(queue, lambda _count: None)

    def _on_queue_channel_open(self, queue: str, channel: Channel) -> None:
        self._queue_channels[queue] = channel
        channel.add_on_close_callback(partial(self._on_queue_channel_close, queue))
        self._send_declare(queue, channel)

    def _send_declare(self, queue: str, channel: Channel) -> None:
        channel.queue_declare(**self._rabbitmq.declaration(queue), callback=partial(self._on_declared, queue))

    def _on_declared(self, queue: str, frame: Method[Queue.DeclareOk]) -> None:
        self._refused.discard(queue)
        for then in self._declaring.pop(queue):
            then(frame.method.message_count)

    def _on_queue_channel_close(self, queue: str, _channel: Channel, reason: Exception) -> None:
        del self._queue_channels[queue]
        if not isinstance(reason, ChannelClosedByBroker):
            return  # the connection went, and the request with it
        if queue not in self._refused:
            self._refused.add(queue)
            _log.error("queue_refused", queue=queue, reason=reason_of(reason))
        for then in self._declaring.pop(queue, ()):
            then(None)

    def _on_blocked(self, _connection: object, frame: Method[Connection.Blocked]) -> None:
        self._blocked = self.error(f"publishing is blocked until it has more resources ({frame.method.reason})")
        _log.warning("publishing_blocked", reason=str(self._blocked))
        if self._request is not None:
            self._request.fail(self._blocked)

    def _on_unblocked(self, _connection: object, _frame: Method[Connection.Unblocked]) -> None:
        self._blocked = None
