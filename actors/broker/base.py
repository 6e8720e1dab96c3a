"""The base of both Dramatiq brokers: they deliver dispatched jobs, and nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from dramatiq import Actor, Broker, Consumer, Message, MessageProxy, Middleware
from dramatiq.middleware import (
    AgeLimit,
    Callbacks,
    GroupCallbacks,
    Pipelines,
    Retries,
    ShutdownNotifications,
    TimeLimit,
    default_middleware,
)
from dramatiq.results import Results

from callboard.db.errors import ConfigurationError

_log = structlog.get_logger(__name__)

FALLBACK_ACTOR: Final = "callboard.unknown"
"""Name of the actor that gets the jobs of types without an actor of their own, if it is declared."""


_IN_JOBS: Final = "Options of job types and submissions do that, and actors adopted with callboard.adopt keep theirs."
_NOT_HERE: Final = "Have the client submit the next job when this one is done."
#: Middleware of Dramatiq that would act on messages, which say nothing here, and what does its work.
_USELESS: Final[Mapping[type[Middleware], str]] = {
    Retries: _IN_JOBS,
    TimeLimit: _IN_JOBS,
    ShutdownNotifications: "Every handler is interrupted when CALLBOARD_SHUTDOWN_GRACE is over.",
    AgeLimit: "Set expires_at in a submission.",
    Results: "The result of every job is stored: GET /v1/jobs/{id}/result.",
    Callbacks: _NOT_HERE,
    Pipelines: _NOT_HERE,
    GroupCallbacks: _NOT_HERE,
}
#: Options of actors that can be imported beside job types, though none of this middleware is used.
_OPTIONS: Final = frozenset({"store_results", "result_ttl", "periodic"}).union(
    *(kind().actor_options for kind in default_middleware)
)


@dataclass(frozen=True, slots=True)
class ConsumerState:
    """Whether this process consumes a queue right now."""

    queue: str
    consuming: bool
    since: datetime
    """Time of the last change of ``consuming`` (UTC)."""
    error: str | None = None
    """The reason, if it is known; None while consuming."""


class JobMessage(MessageProxy):
    """A message with its source, where alone it can be acknowledged."""

    def acknowledge(self) -> None:
        """Acknowledge this message, for good. Callable from any thread; further calls have no effect."""
        raise NotImplementedError

    def requeue(self) -> None:
        """Have the broker deliver this message again, to any worker. Callable from any thread, unless acknowledged."""
        raise NotImplementedError


class JobConsumer(Consumer):
    """The messages of one queue; each is acknowledged where it came from."""

    def ack(self, message: MessageProxy) -> None:
        """Acknowledge a message to its source."""
        assert isinstance(message, JobMessage)  # noqa: S101 (it came from __next__)
        message.acknowledge()

    def nack(self, message: MessageProxy) -> None:
        """Acknowledge: there are no dead letters, and a job that should run is dispatched again by its row."""
        self.ack(message)


class JobBroker(Broker):
    """A Dramatiq broker that consumes. Messages are published by the dispatcher alone, through a ``Transport``.

    Delays and retries wait in PostgreSQL, so there are no delay queues; a message means nothing without its job's
    row, so there are no dead letters either: rejecting is acknowledging.
    """

    def __init__(self, middleware: Sequence[Middleware] = ()) -> None:
        super().__init__(middleware=list(middleware))
        self.queues: set[str] = set()
        self.draining = False
        """Whether the consumers have stopped taking messages; see :meth:`drain`."""
        self.actor_options.update(_OPTIONS)
        self._states: dict[str, ConsumerState] = {}
        self._polled_at: dict[str, float] = {}
        self._states_lock = threading.Lock()

    def add_middleware(
        self,
        middleware: Middleware,
        *,
        before: type[Middleware] | None = None,
        after: type[Middleware] | None = None,
    ) -> None:
        """Add middleware, whose hooks are called around every attempt; see ``dramatiq.Broker.add_middleware``.

        Raises:
            ConfigurationError: it acts on messages, which mean nothing here.
        """
        for kind, instead in _USELESS.items():
            if isinstance(middleware, kind):
                raise ConfigurationError(
                    f"Dramatiq's middleware {kind.__name__} has no effect on jobs. Do not add it. {instead}"
                )
        super().add_middleware(middleware, before=before, after=after)

    def add_late_middleware(self) -> None:
        """Add the middleware that integrations have made part of every broker since this one was made.

        Such as Sentry's, which changes the constructor of brokers when a job module calls ``sentry_sdk.init``.
        """
        present = {type(middleware) for middleware in self.middleware}
        for middleware in Broker(middleware=[]).middleware:
            if type(middleware) not in present:
                self.add_middleware(middleware)

    def declare_queue(self, queue_name: str) -> None:
        """Have running workers consume a queue. No effect if they do."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def get_declared_queues(self) -> set[str]:
        """Return the names of the queues declared so far."""
        return self.queues.copy()

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:  # noqa: ARG002
        """Refuse: a message without a job's row would never run.

        Raises:
            ConfigurationError: always.
        """
        raise ConfigurationError(
            f"{message.actor_name}.send() reached Callboard's broker, which only carries jobs. Submit a job instead "
            "(POST /v1/jobs; for each part of a group or pipeline one, the next when the one before is done), or give "
            "the actor a Dramatiq broker of its own."
        )

    def get_actor(self, actor_name: str) -> Actor[..., Any]:
        """Return the actor of a job type, or the fallback if there is one.

        Raises:
            ActorNotFound: neither is declared.
        """
        use_fallback = actor_name not in self.actors and FALLBACK_ACTOR in self.actors
        return super().get_actor(FALLBACK_ACTOR if use_fallback else actor_name)

    def can_run(self, message: Message[Any]) -> bool:
        """Return whether there is an actor for a message; log it if not. Called by the consumers."""
        if message.actor_name in self.actors or FALLBACK_ACTOR in self.actors:
            return True
        _log.error(
            "job_type_unknown", job_type=message.actor_name, job_id=message.args[0], queue=message.queue_name,
            hint="The message is dropped and the job dispatched again later. Deploy workers that know the type.",
        )  # fmt: skip
        return False

    def consuming(self) -> Mapping[str, ConsumerState]:
        """Return the state of each queue that a worker of this process consumes or tries to consume; a snapshot."""
        with self._states_lock:
            return dict(self._states)

    def drain(self) -> None:
        """Stop taking messages, for good. Those already taken can still be acknowledged or requeued."""
        self.draining = True

    def stalled(self, seconds: float) -> list[str]:
        """Return the queues whose consumer has not polled for ``seconds``."""
        before = time.monotonic() - seconds
        with self._states_lock:
            return [queue for queue, last in self._polled_at.items() if last < before]

    def report(self, queue: str, *, consuming: bool, error: str | None = None) -> None:
        """Record the state of a queue's consumer. Called by the consumers."""
        with self._states_lock:
            before = self._states.get(queue)
            same = before is not None and before.consuming is consuming
            since = before.since if before is not None and same else datetime.now(UTC)
            self._states[queue] = ConsumerState(queue, consuming, since, error)

    def report_poll(self, queue: str) -> None:
        """Record that a queue's consumer polls for messages. Called by the consumers."""
        self._polled_at[queue] = time.monotonic()

    def forget(self, queue: str) -> None:
        """Delete the state of a queue whose consumer was closed on purpose. Called by the consumers."""
        with self._states_lock:
            self._states.pop(queue, None)
            self._polled_at.pop(queue, None)
