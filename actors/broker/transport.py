"""How dispatched jobs reach workers: RabbitMQ, or memory when dispatcher and worker share a process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from callboard.db.rules.attempts import AttemptId

HIGHEST_PRIORITY: Final = 9


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One message: start this attempt. It means nothing alone, the job's row decides."""

    attempt_id: AttemptId
    type: str
    queue: str
    priority: int
    """0 to 9, higher first."""


class Transport(Protocol):
    """Publishes messages. Used by one thread at a time; every call returns within a bound."""

    @property
    def starts_empty(self) -> bool:
        """Whether this transport alone publishes, and began with no message: those of earlier processes are lost."""
        ...

    def depths(self, queues: Sequence[str]) -> Mapping[str, int]:
        """Return the number of messages that wait in each queue, not counting those a worker has already taken.

        A queue that does not exist is declared and has 0. One that the broker refuses to declare, because it exists
        with other arguments, is logged and left out: nobody could consume what is published to it.

        Raises:
            TransportError: the broker cannot be reached.
        """
        ...

    def publish(self, dispatches: Sequence[Dispatch]) -> Sequence[Dispatch]:
        """Publish all, and return those that the broker has confirmed (persisted and routed to a queue).

        Those left out may or may not arrive; publishing them again is harmless.

        Raises:
            TransportError: the broker cannot be reached, and none is known to be confirmed.
        """
        ...

    def close(self) -> None:
        """Close connections. The transport is not used after it."""
        ...


class TransportError(Exception):
    """The broker cannot be reached or does not answer; ``str`` says which address and why, without the password."""
