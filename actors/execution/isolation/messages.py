"""The messages between a worker and a handler's process.

The handler's process sends and the worker replies: to :class:`Ready` and :class:`Ended` with the next :class:`Start`,
to a :class:`Call` with :class:`Returned` or :class:`Raised`. :class:`Begun` and :class:`Report` get no reply. Messages
are pickled, and sent over a socket that no other process has; both ends run the same code under the same account.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from callboard.actors.execution.interrupts import Interruption
from callboard.db.rules.attempts import ClaimedJob, ProgressReport
from callboard.db.rules.outcome import Outcome
from callboard.db.settings import Settings


@dataclass(frozen=True, slots=True)
class Setup:
    """The first message to the process."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class Ready:
    """The process has loaded the job types."""

    pid: int


@dataclass(frozen=True, slots=True)
class Unusable:
    """The process could not load the job types, and ends."""

    reason: str


@dataclass(frozen=True, slots=True)
class Start:
    """Run this attempt, the ``number``-th of the process."""

    number: int
    job: ClaimedJob


@dataclass(frozen=True, slots=True)
class Begun:
    """The handler is about to be called."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The attempt has ended. ``clean``: it has left no threads behind, so the process can run another one."""

    outcome: Outcome
    clean: bool


@dataclass(frozen=True, slots=True)
class Report:
    """The latest progress."""

    report: ProgressReport


@dataclass(frozen=True, slots=True)
class Call:
    """Call a method of the attempt's :class:`RunServices`, by its name."""

    name: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Returned:
    """The call returned this."""

    value: Any


@dataclass(frozen=True, slots=True)
class Raised:
    """The call raised this. ``reason``: of the attempt's interruption, if it is to stop."""

    error: BaseException
    reason: Interruption | None
