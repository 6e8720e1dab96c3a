"""What dispatcher and worker must agree on about RabbitMQ: where it is, and how its queues are named and declared."""

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
"""Keeps our queues apart from those that another Dramatiq application declared, with its arguments, in the vhost."""

_HEARTBEAT: Final = 30
_BLOCKED_TIMEOUT: Final = 60.0
_PRECONDITION_FAILED: Final = 406

QueueType = Literal["classic", "quorum"]


@dataclass(frozen=True, slots=True)
class Rabbitmq:
    """Where RabbitMQ is and which kind of queues it holds. Build it with :meth:`at` or :meth:`from_settings`."""

    urls: tuple[str, ...] = field(repr=False)
    queue_type: QueueType
    connect_timeout: float
    """Longest wait, in seconds, for one address to accept a connection, and again for it to speak AMQP."""

    @classmethod
    def at(cls, url: str, *, queue_type: QueueType = "classic", connect_timeout: float = 5.0) -> Rabbitmq:
        """Take one AMQP URL, or several separated by ``;`` that are tried in turn.

        Raises:
            ConfigurationError: not AMQP URLs. The message does not repeat them, as they hold a password.
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
        """Take ``amqp_url``, ``queue_type`` and ``connect_timeout``.

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
        """Return pika's parameters for every URL. RabbitMQ's own pages show ``purpose`` as the connection's name.

        ``heartbeat`` and ``blocked_connection_timeout`` may be set in a URL's query; 30 and 60 seconds if not.
        """
        return [self._parameters(url, purpose) for url in self.urls]

    def _parameters(self, url: str, purpose: str) -> pika.URLParameters:
        parts = urlsplit(url)
        if parts.scheme not in {"amqp", "amqps"} or not parts.hostname or (parts.username and not parts.password):
            raise ValueError("not an AMQP URL")
        parameters = pika.URLParameters(url)
        asked = parse_qs(parts.query)
        if "heartbeat" not in asked:
            parameters.heartbeat = _HEARTBEAT
        if "blocked_connection_timeout" not in asked:
            parameters.blocked_connection_timeout = _BLOCKED_TIMEOUT
        if parameters.ssl_options is not None and parameters.ssl_options.server_hostname is None:
            parameters.ssl_options.server_hostname = parameters.host  # without it, certificates cannot be verified
        # Retries are ours, with jitter and a bound; pika's would make an attempt take a multiple of the timeout.
        parameters.connection_attempts = 1
        parameters.socket_timeout = parameters.stack_timeout = self.connect_timeout
        parameters.client_properties = {"connection_name": f"callboard {purpose} {socket.gethostname()}"}
        return parameters

    def declaration(self, queue: str) -> dict[str, Any]:
        """Return the arguments of pika's ``queue_declare`` for a queue.

        Dispatcher and workers all declare exactly this, whoever comes first: RabbitMQ answers 406 to a second
        declaration that differs.
        """
        arguments: dict[str, Any] = {"x-queue-type": self.queue_type}  # said out loud: a vhost may have another default
        if self.queue_type == "classic":
            arguments["x-max-priority"] = HIGHEST_PRIORITY  # quorum queues refuse it, and have priorities from 4.3 on
        return {"queue": amqp_name(queue), "durable": True, "arguments": arguments}


def amqp_name(queue: str) -> str:
    """Return the name in RabbitMQ of one of our queues."""
    return QUEUE_PREFIX + queue


def address_of(parameters: pika.URLParameters) -> str:
    """Return ``host:port/vhost``, without credentials."""
    return f"{parameters.host}:{parameters.port}/{parameters.virtual_host.removeprefix('/')}"


def reason_of(error: BaseException) -> str:
    """Say in a few words why pika gave up, without credentials."""
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
