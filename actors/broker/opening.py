"""The one place that chooses a broker: a process opens here what it consumes from and what it publishes to."""

from __future__ import annotations

from callboard.actors.broker.amqp import Rabbitmq
from callboard.actors.broker.base import JobBroker
from callboard.actors.broker.local import LocalBroker, LocalTransport
from callboard.actors.broker.publisher import RabbitmqTransport
from callboard.actors.broker.rabbitmq_consumer import RabbitmqBroker
from callboard.actors.broker.transport import Transport
from callboard.db.settings import Settings


def open_broker(settings: Settings) -> JobBroker:
    """Return the broker that a worker consumes from. Nothing is connected before a queue is consumed.

    Raises:
        ConfigurationError: no broker is configured, or its URL is malformed.
    """
    return RabbitmqBroker(Rabbitmq.from_settings(settings))


def open_transport(settings: Settings) -> Transport:
    """Return the transport that a dispatcher publishes through. It connects in the background, from now on.

    Raises:
        ConfigurationError: no broker is configured, or its URL is malformed.
    """
    return RabbitmqTransport(Rabbitmq.from_settings(settings), confirm_timeout=settings.confirm_timeout)


def open_both(settings: Settings) -> tuple[JobBroker, Transport]:
    """Return broker and transport of a process that both dispatches and works: in memory if no broker is configured.

    Raises:
        ConfigurationError: the broker's URL is malformed.
    """
    if settings.amqp_url is None:
        local = LocalBroker()
        return local, LocalTransport(local)
    return open_broker(settings), open_transport(settings)
