"""The dispatcher's way into RabbitMQ: persistent messages, confirmed, with many confirms under way at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing

import structlog

from callboard.actors.broker.amqp import Rabbitmq
from callboard.actors.broker.connection import open_connection, reconnecting
from callboard.actors.broker.publisher_session import BrokerRequest, Depths, Publication, PublisherSession
from callboard.actors.broker.transport import Dispatch, TransportError

_log = structlog.get_logger(__name__)

_TICK = 1.0
#: Seconds for which a queue that did not answer is left alone; its jobs wait in the database.
_SILENCE = 30.0


class RabbitmqTransport:
    """A ``Transport`` over RabbitMQ. A thread of its own keeps the connection, and opens it again when it is lost.

    Args:
        rabbitmq: where RabbitMQ is. The first attempt to connect starts at once.
        confirm_timeout: longest wait, in seconds, for the broker's answer to one call. Before that, a call may wait
            ``rabbitmq.connect_timeout`` seconds for a connection.
    """

    def __init__(self, rabbitmq: Rabbitmq, *, confirm_timeout: float) -> None:
        self._rabbitmq = rabbitmq
        self._confirm_timeout = confirm_timeout
        self._backoff = reconnecting()
        self._silent_until: dict[str, float] = {}  # by queue
        self._closing = threading.Event()
        self._changed = threading.Condition()  # guards the three below
        self._session: PublisherSession | None = None
        self._request: BrokerRequest | None = None
        self._error = TransportError("RabbitMQ: not connected yet")
        self._thread = threading.Thread(target=self._run, name="rabbitmq-publisher", daemon=True)
        self._thread.start()

    def publish(self, dispatches: Sequence[Dispatch]) -> Sequence[Dispatch]:
        """Publish all, and return those that RabbitMQ has confirmed; see ``Transport``.

        Confirmed means in a queue and on disk, for a quorum queue on those of most of its members.

        Raises:
            TransportError: no connection, no answer in time, or publishing is blocked as RabbitMQ is low on memory or
                disk; and no message is known to be confirmed.
        """
        if not dispatches:
            return ()
        publication = Publication(dispatches)
        error = self._perform(publication)
        confirmed = tuple(publication.confirmed)
        if error is not None:
            if not confirmed:
                raise error
            self._leave_alone({each.queue for each in dispatches} - {each.queue for each in confirmed})
        return confirmed

    def depths(self, queues: Sequence[str]) -> Mapping[str, int]:
        """Return the number of messages that wait in each queue; see ``Transport``.

        A queue that did not answer while others did is left out for half a minute: a quorum queue without a leader
        would make each call for all of them take as long as it may.
        """
        now = time.monotonic()
        queues = [queue for queue in queues if self._silent_until.get(queue, now) <= now]
        if not queues:
            return {}
        depths = Depths(queues)
        error = self._perform(depths)
        if error is not None:
            if not depths.counts:
                raise error
            self._leave_alone(set(queues) - depths.counts.keys())
        return depths.counts

    def close(self) -> None:
        """Close the connection and end the thread, within seconds."""
        self._closing.set()
        with self._changed:
            if self._session is not None:
                self._session.call_soon(lambda: None)  # wakes the thread
        self._thread.join(self._rabbitmq.connect_timeout + _TICK)

    def _leave_alone(self, queues: set[str]) -> None:
        for queue in queues:
            self._silent_until[queue] = time.monotonic() + _SILENCE
            _log.error("queue_silent", queue=queue, reason="no answer in time", retry_in=_SILENCE)

    def _perform(self, request: BrokerRequest) -> TransportError | None:
        """Have the thread carry out a request; return why it was not completed, or None."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._session is not None, self._rabbitmq.connect_timeout):
                return self._error
            session, self._request = self._session, request
        assert session is not None  # noqa: S101 (waited for above)
        session.perform(request)
        if not request.wait(self._confirm_timeout):
            error = session.error(f"no answer within {self._confirm_timeout:g} s")
            if not request.answered:
                # A connection through which nothing comes back is as good as lost: behind a dead network, heartbeats
                # would take a minute to notice.
                session.call_soon(lambda: session.give_up(error))
            return error
        return request.error

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
        """Serve requests until the session is over or no longer wanted."""
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
        except Exception as error:  # noqa: BLE001 (the thread outlives a bug, or nothing is dispatched ever again)
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
            # An outage is one warning, however many attempts it takes.
            news = self._session is not None or str(error) != str(self._error)
            self._session = None
            self._error = error
            request = self._request
        if news:
            _log.warning("broker_disconnected", reason=str(error))
        if request is not None:
            request.fail(error)
