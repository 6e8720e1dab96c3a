"""What worker and handler's process say to each other.

The handler's process asks and the worker answers: :class:`Ready` and :class:`Ended` ask for the next :class:`Start`, a
:class:`Call` for an :class:`Answer` or :class:`Failure`. :class:`Begun` and :class:`Report` expect nothing. They travel
pickled, over a socket that no other process has; both ends run the same code under the same account.
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
    """It has loaded the job types."""

    pid: int


@dataclass(frozen=True, slots=True)
class Unusable:
    """It could not, and ends."""

    reason: str


@dataclass(frozen=True, slots=True)
class Start:
    """Run this attempt, the ``number``-th of this process."""

    number: int
    job: ClaimedJob


@dataclass(frozen=True, slots=True)
class Begun:
    """The handler is about to be called."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The attempt has ended. ``clean``: it has left neither threads nor files behind, so another may be run here."""

    outcome: Outcome
    clean: bool


@dataclass(frozen=True, slots=True)
class Report:
    """The latest progress."""

    report: ProgressReport


@dataclass(frozen=True, slots=True)
class Call:
    """What only the worker can do: one of ``file``, ``attach``, and the methods of :class:`CheckpointStore`."""

    name: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    value: Any


@dataclass(frozen=True, slots=True)
class Failure:
    """The call raised this. ``reason``: why the attempt is to stop, if it is."""

    error: BaseException
    reason: Interruption | None
