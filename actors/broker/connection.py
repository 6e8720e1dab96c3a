"""One AMQP connection without a thread of its own, and the backoff between attempts to open one."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pika
from pika.adapters.select_connection import IOLoop
from pika.exceptions import AMQPError, ConnectionClosedByClient, StreamLostError

from callboard.actors.broker.amqp import Rabbitmq, address_of, reason_of
from callboard.actors.broker.transport import TransportError
from callboard.db.rules.backoff import Backoff

_CLOSE_TIMEOUT = 2.0


class AmqpConnection:
    """An open AMQP connection, driven by the thread that opened it and calls :meth:`poll`. It is never reopened.

    It uses pika's event loop directly: ``BlockingConnection`` takes twice the time per message.
    """

    def __init__(self, parameters: pika.URLParameters, tick: float) -> None:
        self.address = address_of(parameters)
        self._tick = tick
        self._lost: BaseException | None = None
        self._loop = IOLoop()
        self._loop.activate_poller()
        try:
            self.connection = self._connect(parameters)
        except BaseException:
            self._loop.close()
            raise
        self.connection.add_on_close_callback(self._on_close)
        self._schedule_tick()

    def poll(self) -> None:
        """Wait for input, output, a timer or :meth:`call_soon`, at most one tick, and run what is due.

        Raises:
            TransportError: the connection is lost; the text has the address and the reason.
        """
        try:
            self._loop.poll()
            self._loop.process_timeouts()
        except AMQPError as error:
            raise self.error(error) from error
        if self._lost is not None:
            raise self.error(self._lost)

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Have the driving thread run ``callback`` in its next :meth:`poll`. For all threads; no effect once lost."""
        self._loop.add_callback_threadsafe(callback)

    def close(self) -> None:
        """Close the connection; without the closing handshake if the broker takes more than two seconds for it."""
        deadline = time.monotonic() + _CLOSE_TIMEOUT
        try:
            if self.connection.is_open:
                self.connection.close()
            while not self.connection.is_closed:
                if time.monotonic() > deadline:
                    # pika has no public way to close a connection whose peer does not answer.
                    self.connection._terminate_stream(StreamLostError("no answer to close"))  # noqa: SLF001
                with suppress(AMQPError):  # of late callbacks
                    self._loop.poll()
                    self._loop.process_timeouts()
        finally:
            self._loop.close()

    def error(self, cause: BaseException) -> TransportError:
        """Return an error with the address and the cause."""
        return TransportError(f"RabbitMQ at {self.address}: {reason_of(cause)}")

    def _connect(self, parameters: pika.URLParameters) -> pika.SelectConnection:
        results: list[Any] = []
        pika.SelectConnection.create_connection([parameters], on_done=results.append, custom_ioloop=self._loop)
        while not results:
            self._loop.poll()
            self._loop.process_timeouts()
        if not isinstance(results[0], pika.SelectConnection):
            raise self.error(results[0])
        return results[0]

    def _on_close(self, _connection: object, reason: BaseException) -> None:
        if not isinstance(reason, ConnectionClosedByClient):
            self._lost = reason

    def _schedule_tick(self) -> None:
        # A poll ends with the next timer: one that is always set bounds it.
        self._loop.call_later(self._tick, self._schedule_tick)


def open_connection(rabbitmq: Rabbitmq, purpose: str, tick: float) -> AmqpConnection:
    """Connect to the first address that accepts.

    Args:
        purpose: part of the connection's name in RabbitMQ.
        tick: longest time, in seconds, that :meth:`AmqpConnection.poll` waits.

    Raises:
        TransportError: none accepts; the text has the reason of each.
    """
    failures = []
    for parameters in rabbitmq.parameters(purpose):
        try:
            return AmqpConnection(parameters, tick)
        except TransportError as error:
            failures.append(str(error))
    raise TransportError("; ".join(failures))


def reconnecting() -> Backoff:
    """Return the backoff between attempts to connect: 0.1 to 5 seconds, of which a random part up to half is taken off.

    A broker that is back is found within seconds, and the workers of a fleet do not all connect at the same time.
    """
    return Backoff(0.1, 5.0, jitter=0.5)
