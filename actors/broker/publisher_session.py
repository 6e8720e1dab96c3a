"""One connection of the publisher: sends messages and collects their confirms, declares queues and counts them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from itertools import takewhile
from typing import Any, Generic, TypeVar

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

Reply = TypeVar("Reply")

_log = structlog.get_logger(__name__)

# Messages. Between two chunks the thread reads confirms, which would pile up at both ends otherwise.
_CHUNK = 200
_PERSISTENT = 2
_PROPERTIES = tuple(
    BasicProperties("application/json", delivery_mode=_PERSISTENT, priority=priority)  # type: ignore[no-untyped-call]
    for priority in range(HIGHEST_PRIORITY + 1)
)


class Replies(Generic[Reply]):
    """What RabbitMQ replies to one request. The session's thread collects it, the requesting thread waits for it."""

    def __init__(self, expected: int) -> None:
        """``expected``: number of replies after which the request is complete."""
        self.received: list[Reply] = []
        """The replies so far, refusals left out."""
        self.error: TransportError | None = None
        """Why replies are missing; None while they may still come, and when all have come."""
        self._expected = self._missing = expected
        self._ended = threading.Event()

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    @property
    def any_came(self) -> bool:
        """Whether RabbitMQ has replied to any part of the request."""
        return self._missing < self._expected

    def wait(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds for the end, and return whether it came."""
        return self._ended.wait(timeout)

    def add(self, reply: Reply | None) -> None:
        """Record one reply; None for a refusal."""
        if reply is not None:
            self.received.append(reply)
        self._missing -= 1
        if not self._missing:
            self._ended.set()

    def fail(self, error: TransportError) -> None:
        """End the request, unless it has ended. What was received stays."""
        if not self.ended:
            self.error = error
            self._ended.set()


class PublisherSession:
    """One connection of the publisher, with one request at a time.

    :meth:`publish`, :meth:`depths` and :meth:`call_soon` are for all threads, the others for the session's own.
    """

    def __init__(self, link: AmqpConnection, rabbitmq: Rabbitmq) -> None:
        self.ready = False
        self._link = link
        self._rabbitmq = rabbitmq
        self._failure: TransportError | None = None
        self._blocked: TransportError | None = None
        self._fail_request: Callable[[TransportError], None] = lambda _error: None
        self._last_tag = 0
        self._unconfirmed: dict[int, tuple[Dispatch, Replies[Dispatch]]] = {}  # by delivery tag, in order
        self._returned: set[str] = set()
        self._declaring: dict[str, list[Replies[tuple[str, int]]]] = {}
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
        """Have the session's thread run ``callback``."""
        self._link.call_soon(callback)

    def publish(self, dispatches: Sequence[Dispatch]) -> Replies[Dispatch]:
        """Publish messages; the replies are those that RabbitMQ confirms. The request before has ended."""
        replies: Replies[Dispatch] = Replies(len(dispatches))
        self._begin(replies, partial(self._send_from, 0, dispatches, replies))
        return replies

    def depths(self, queues: Sequence[str]) -> Replies[tuple[str, int]]:
        """Declare queues, and count the messages that wait in each. The request before has ended."""
        replies: Replies[tuple[str, int]] = Replies(len(queues))

        def declare_all() -> None:
            for queue in queues:
                self._declare(queue, replies)

        self._begin(replies, declare_all)
        return replies

    def error(self, reason: str) -> TransportError:
        """Return an error that names the address."""
        return TransportError(f"RabbitMQ at {self._link.address}: {reason}")

    def give_up(self, error: TransportError) -> None:
        """End the session: the next :meth:`poll` raises ``error``."""
        self._failure = error

    def _begin(self, replies: Replies[Any], send: Callable[[], None]) -> None:
        """Have the session's thread send a request, unless publishing is blocked."""

        def begin() -> None:
            self._fail_request = replies.fail
            if self._blocked is not None:
                replies.fail(self._blocked)
            else:
                send()

        self._link.call_soon(begin)

    def _send_from(self, first: int, dispatches: Sequence[Dispatch], replies: Replies[Dispatch]) -> None:
        """Send one chunk of messages, and come back for the next."""
        if replies.ended:
            return
        following = first + _CHUNK
        for dispatch in dispatches[first:following]:
            self._last_tag += 1
            self._unconfirmed[self._last_tag] = (dispatch, replies)
            self._channel.basic_publish(
                "", amqp_name(dispatch.queue), encode(dispatch), _PROPERTIES[dispatch.priority], mandatory=True
            )
        if following < len(dispatches):
            self.call_soon(partial(self._send_from, following, dispatches, replies))

    def _declare(self, queue: str, *waiting: Replies[tuple[str, int]]) -> None:
        """Declare a queue; add it, with the number of messages that wait in it, to each of ``waiting``.

        Each queue has a channel of its own: pika has one declaration under way per channel, and a refusal closes it.
        """
        if queue in self._declaring:
            self._declaring[queue] += waiting  # under way; the reply is for all
            return
        self._declaring[queue] = list(waiting)
        channel = self._queue_channels.get(queue)
        if channel is not None:
            self._send_declare(queue, channel)
        else:
            self._link.connection.channel(on_open_callback=partial(self._on_queue_channel_open, queue))

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
            dispatch, replies = self._unconfirmed.pop(tag)
            replies.add(dispatch if accepted and not self._was_returned(dispatch) else None)

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
            self._declare(queue)

    def _on_queue_channel_open(self, queue: str, channel: Channel) -> None:
        self._queue_channels[queue] = channel
        channel.add_on_close_callback(partial(self._on_queue_channel_close, queue))
        self._send_declare(queue, channel)

    def _send_declare(self, queue: str, channel: Channel) -> None:
        channel.queue_declare(**self._rabbitmq.declaration(queue), callback=partial(self._on_declared, queue))

    def _on_declared(self, queue: str, frame: Method[Queue.DeclareOk]) -> None:
        self._refused.discard(queue)
        for replies in self._declaring.pop(queue):
            replies.add((queue, frame.method.message_count))

    def _on_queue_channel_close(self, queue: str, _channel: Channel, reason: Exception) -> None:
        del self._queue_channels[queue]
        if not isinstance(reason, ChannelClosedByBroker):
            return  # the connection went, and the request with it
        if queue not in self._refused:
            self._refused.add(queue)
            _log.error("queue_refused", queue=queue, reason=reason_of(reason))
        for replies in self._declaring.pop(queue, ()):
            replies.add(None)

    def _on_blocked(self, _connection: object, frame: Method[Connection.Blocked]) -> None:
        self._blocked = self.error(f"publishing is blocked until it has more resources ({frame.method.reason})")
        _log.warning("publishing_blocked", reason=str(self._blocked))
        self._fail_request(self._blocked)

    def _on_unblocked(self, _connection: object, _frame: Method[Connection.Unblocked]) -> None:
        self._blocked = None
