"""Publishes to RabbitMQ for the dispatcher: persistent messages, confirmed, many confirms under way at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from typing import Final, TypeVar

import structlog

from callboard.actors.broker.amqp import Rabbitmq
from callboard.actors.broker.connection import open_connection, reconnecting
from callboard.actors.broker.publisher_session import PublisherSession, Replies
from callboard.actors.broker.transport import Dispatch, TransportError

Reply = TypeVar("Reply")

_log = structlog.get_logger(__name__)

_TICK = 1.0
#: Seconds for which a queue that did not answer is left alone; its jobs wait in the database.
_SILENCE = 30.0


class RabbitmqTransport:
    """A ``Transport`` over RabbitMQ. A thread of its own keeps the connection, and opens a new one when it is lost.

    Args:
        rabbitmq: where RabbitMQ is. The first attempt to connect starts at once.
        confirm_timeout: longest wait, in seconds, for the broker's replies to one call. Before that, a call may wait
            ``rabbitmq.connect_timeout`` seconds for a connection.
    """

    starts_empty: Final = False

    def __init__(self, rabbitmq: Rabbitmq, *, confirm_timeout: float) -> None:
        self._rabbitmq = rabbitmq
        self._confirm_timeout = confirm_timeout
        self._backoff = reconnecting()
        self._silent_until: dict[str, float] = {}  # by queue
        self._closing = threading.Event()
        self._changed = threading.Condition()  # guards the three below
        self._session: PublisherSession | None = None
        self._fail_request: Callable[[TransportError], None] = lambda _error: None
        self._error = TransportError("RabbitMQ: not connected yet")
        self._thread = threading.Thread(target=self._run, name="rabbitmq-publisher", daemon=True)
        self._thread.start()

    def publish(self, dispatches: Sequence[Dispatch]) -> Sequence[Dispatch]:
        """Publish all, and return those that RabbitMQ has confirmed; see ``Transport``.

        Confirmed means in a queue and on disk, for a quorum queue on the disks of most of its members.

        Raises:
            TransportError: no message was confirmed, as there is no connection, no reply in time, or publishing is
                blocked while RabbitMQ is low on memory or disk.
        """
        if not dispatches:
            return ()
        confirmed, error = self._request(lambda session: session.publish(dispatches))
        if error is not None:
            self._leave_alone({each.queue for each in dispatches} - {each.queue for each in confirmed})
        return confirmed

    def depths(self, queues: Sequence[str]) -> Mapping[str, int]:
        """Return the number of messages that wait in each queue; see ``Transport``.

        A queue that did not answer while others did is left out for half a minute: a quorum queue without a leader
        would make each call for all of them take ``confirm_timeout``.
        """
        now = time.monotonic()
        queues = [queue for queue in queues if self._silent_until.get(queue, now) <= now]
        if not queues:
            return {}
        replies, error = self._request(lambda session: session.depths(queues))
        depths = dict(replies)
        if error is not None:
            self._leave_alone(set(queues) - depths.keys())
        return depths

    def close(self) -> None:
        """Close the connection and end the thread, within seconds."""
        self._closing.set()
        with self._changed:
            if self._session is not None:
                self._session.call_soon(lambda: None)  # wakes the thread
        self._thread.join(self._rabbitmq.connect_timeout + _TICK)

    def _leave_alone(self, queues: Iterable[str]) -> None:
        for queue in queues:
            self._silent_until[queue] = time.monotonic() + _SILENCE
            _log.error("queue_silent", queue=queue, reason="no answer in time", retry_in=_SILENCE)

    def _request(
        self, begin: Callable[[PublisherSession], Replies[Reply]]
    ) -> tuple[Sequence[Reply], TransportError | None]:
        """Wait for the replies to a request; return those that came, and why others are missing, or None.

        Raises:
            TransportError: none came.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._session is not None, self._rabbitmq.connect_timeout):
                raise self._error
            session = self._session
            assert session is not None  # noqa: S101 (waited for above)
            # Under the lock: a session that is lost from here on fails this request.
            replies = begin(session)
            self._fail_request = replies.fail
        if not replies.wait(self._confirm_timeout):
            error = session.error(f"no answer within {self._confirm_timeout:g} s")
            if not replies.any_came:
                # A connection through which nothing comes back is as good as lost: behind a dead network, heartbeats
                # would take a minute to notice.
                session.call_soon(lambda: session.give_up(error))
            replies.fail(error)
        received = tuple(replies.received)
        if replies.error is not None and not received:
            raise replies.error
        return received, replies.error

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                link = open_connection(self._rabbitmq, "dispatcher", _TICK)
            except TransportError as error:
                self._lose(error)
            else:
                with closing(link):
                    self._serve(PublisherSession(link, self._rabbitmq))
            self._closing.wait(self._backoff.next())

    def _serve(self, session: PublisherSession) -> None:
        """Serve requests until the session is over or the transport is closed."""
        try:
            start_by = time.monotonic() + self._rabbitmq.connect_timeout
            while not (session.ready or self._closing.is_set()):
                session.poll()
                if time.monotonic() > start_by:
                    session.give_up(session.error("no answer in time"))
            self._offer(session)
            while not self._closing.is_set():
                session.poll()
        except TransportError as error:
            self._lose(error)
        except Exception as error:  # noqa: BLE001 (without this thread nothing would be dispatched any more)
            _log.exception("publisher_failed")
            self._lose(session.error(repr(error)))

    def _offer(self, session: PublisherSession) -> None:
        with self._changed:
            self._session = session
            self._changed.notify_all()
        self._backoff.reset()
        _log.info("broker_connected")

    def _lose(self, error: TransportError) -> None:
        with self._changed:
            # An outage is one warning, whatever the number of attempts.
            is_new = self._session is not None or str(error) != str(self._error)
            self._session = None
            self._error = error
            fail_request = self._fail_request
        if is_new:
            _log.warning("broker_disconnected", reason=str(error))
        fail_request(error)
