"""RabbitMQ as dispatcher and workers share it: its addresses, and the names and declarations of its queues."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

import pika
from pika.adapters.utils.connection_workflow import (
    AMQPConnectionWorkflowFailed,
    AMQPConnectorPhaseErrorBase,
    AMQPConnectorStackTimeout,
)
from pika.exceptions import ChannelClosed, ConnectionClosed

from callboard.actors.broker.transport import HIGHEST_PRIORITY
from callboard.db.errors import ConfigurationError
from callboard.db.settings import Settings

QUEUE_PREFIX: Final = "callboard."
"""Separates our queues from those of another Dramatiq application in the vhost, which have other arguments."""

_HEARTBEAT: Final = 30
_BLOCKED_TIMEOUT: Final = 60.0
_PRECONDITION_FAILED: Final = 406

QueueType = Literal["classic", "quorum"]


@dataclass(frozen=True, slots=True)
class Rabbitmq:
    """Addresses of RabbitMQ, and its type of queue. Build it with :meth:`at` or :meth:`from_settings`."""

    urls: tuple[str, ...] = field(repr=False)
    queue_type: QueueType
    connect_timeout: float
    """Seconds to wait until one address accepts a connection, and again until the AMQP handshake is done."""

    @classmethod
    def at(cls, url: str, *, queue_type: QueueType = "classic", connect_timeout: float = 5.0) -> Rabbitmq:
        """Parse one AMQP URL, or several separated by ``;`` that are tried in turn.

        Raises:
            ConfigurationError: the URL is malformed. The message does not repeat it, as it holds a password.
        """
        rabbitmq = cls(tuple(part.strip() for part in url.split(";") if part.strip()), queue_type, connect_timeout)
        try:
            parameters = rabbitmq.parameters("check")
        except (ValueError, TypeError):
            parameters = []
        if not parameters:
            # No chained exception either: pika's quotes what it could not parse.
            raise ConfigurationError(
                "CALLBOARD_AMQP_URL is not an AMQP URL. Write amqp://user:password@host:port/vhost (amqps:// for TLS), "
                "with special characters in user, password and vhost percent-encoded: %2F for a slash."
            ) from None
        return rabbitmq

    @classmethod
    def from_settings(cls, settings: Settings) -> Rabbitmq:
        """Read ``amqp_url``, ``queue_type`` and ``connect_timeout``.

        Raises:
            ConfigurationError: no URL is set, or it is malformed.
        """
        if settings.amqp_url is None:
            raise ConfigurationError("CALLBOARD_AMQP_URL is not set. Set it to amqp://user:password@host:port/vhost.")
        return cls.at(
            settings.amqp_url.get_secret_value(),
            queue_type=settings.queue_type,
            connect_timeout=settings.connect_timeout,
        )

    def parameters(self, purpose: str) -> list[pika.URLParameters]:
        """Return pika's parameters for every URL. ``purpose`` is part of the connection's name in RabbitMQ.

        ``heartbeat`` and ``blocked_connection_timeout`` may be set in a URL's query; defaults are 30 and 60 seconds.
        """
        return [self._parameters(url, purpose) for url in self.urls]

    def _parameters(self, url: str, purpose: str) -> pika.URLParameters:
        parts = urlsplit(url)
        if parts.scheme not in {"amqp", "amqps"} or not parts.hostname or (parts.username and not parts.password):
            raise ValueError("not an AMQP URL")
        parameters = pika.URLParameters(url)
        query = parse_qs(parts.query)
        if "heartbeat" not in query:
            parameters.heartbeat = _HEARTBEAT
        if "blocked_connection_timeout" not in query:
            parameters.blocked_connection_timeout = _BLOCKED_TIMEOUT
        if parameters.ssl_options is not None and parameters.ssl_options.server_hostname is None:
            parameters.ssl_options.server_hostname = parameters.host  # without it, certificates cannot be verified
        # Callboard retries itself, with jitter and a bound; pika's retries would multiply the timeout of an attempt.
        parameters.connection_attempts = 1
        parameters.socket_timeout = parameters.stack_timeout = self.connect_timeout
        parameters.client_properties = {"connection_name": f"callboard {purpose} {socket.gethostname()}"}
        return parameters

    def declaration(self, queue: str) -> dict[str, Any]:
        """Return the arguments of pika's ``queue_declare`` for a queue.

        Dispatchers and workers must declare exactly the same: RabbitMQ refuses (406) a second declaration that differs.
        """
        arguments: dict[str, Any] = {"x-queue-type": self.queue_type}  # explicit, as a vhost may have another default
        if self.queue_type == "classic":
            arguments["x-max-priority"] = HIGHEST_PRIORITY  # quorum queues refuse it, and have priorities from 4.3 on
        return {"queue": amqp_name(queue), "durable": True, "arguments": arguments}


def amqp_name(queue: str) -> str:
    """Return the name that a queue has in RabbitMQ."""
    return QUEUE_PREFIX + queue


def address_of(parameters: pika.URLParameters) -> str:
    """Return ``host:port/vhost``, without credentials."""
    return f"{parameters.host}:{parameters.port}/{parameters.virtual_host.removeprefix('/')}"


def reason_of(error: BaseException) -> str:
    """Return in a few words why pika gave up, without credentials."""
    while isinstance(error, AMQPConnectionWorkflowFailed | AMQPConnectorPhaseErrorBase):
        error = error.exceptions[-1] if isinstance(error, AMQPConnectionWorkflowFailed) else error.exception
    if isinstance(error, AMQPConnectorStackTimeout | TimeoutError):
        return "no answer in time"
    if isinstance(error, ChannelClosed) and error.reply_code == _PRECONDITION_FAILED:
        return (
            f"{error.reply_text} (406): the queue exists with other arguments (another CALLBOARD_QUEUE_TYPE?). "
            "Set that back, or delete the queue: its jobs are dispatched again"
        )
    if isinstance(error, ConnectionClosed | ChannelClosed):
        return f"{error.reply_text} ({error.reply_code})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
