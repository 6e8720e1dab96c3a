"""The interface through which the dispatcher publishes: RabbitMQ, or memory if it shares a process with the worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from callboard.db.rules.attempts import AttemptId

HIGHEST_PRIORITY: Final = 9


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One message: start this attempt. The job's row decides whether the worker does."""

    attempt_id: AttemptId
    type: str
    queue: str
    priority: int
    """0 to 9, higher first."""


class Transport(Protocol):
    """Publishes messages. For one thread at a time; every call returns within a bounded time."""

    @property
    def starts_empty(self) -> bool:
        """Whether it begins without the messages of earlier processes; those are lost, and their jobs still wait."""
        ...

    def depths(self, queues: Sequence[str]) -> Mapping[str, int]:
        """Return the number of messages that wait in each queue, without those that a worker has taken.

        A queue that does not exist is declared, and has 0. A queue that the broker refuses to declare, because it
        exists with other arguments, is logged and left out, as no worker can consume it.

        Raises:
            TransportError: the broker cannot be reached.
        """
        ...

    def publish(self, dispatches: Sequence[Dispatch]) -> Sequence[Dispatch]:
        """Publish all, and return those that the broker has confirmed (persisted and routed to a queue).

        The others may have arrived or not. Publishing them again does no harm.

        Raises:
            TransportError: the broker cannot be reached, and no message was confirmed.
        """
        ...

    def close(self) -> None:
        """Close the connection. The transport cannot be used afterwards."""
        ...


class TransportError(Exception):
    """The broker cannot be reached, or does not answer. ``str`` has the address and the reason, and no password."""
