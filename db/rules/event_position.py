"""How far a reader of a job's events is. Pure; ``callboard.db.reads.timeline`` derives the events."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self


class Stage(IntEnum):
    """Steps of an attempt, in their order; with the attempt's number before and a count behind, a place among all."""

    SUBMITTED = 1
    STARTED = 2
    PROGRESS = 3
    ENDED = 4
    """The attempt ended and the job did not."""
    FINISHED = 5
    """The job ended. Its count is the time, as a job that is retried by hand may end again before it starts."""


_TEXT: Final = re.compile(r"(\d{1,9})\.([0-5])\.(\d{1,15})\.(\d{1,15})", re.ASCII)


@dataclass(frozen=True, slots=True)
class EventPosition:
    """Just after an event; the default is before the first.

    Everything up to (``attempt``, ``stage``, ``count``) has been seen. A request to cancel can come at any time and so
    has no place in that order: ``cancel`` tells by its time (milliseconds since 1970) whether it has been seen.
    """

    attempt: int = 0
    stage: int = 0
    count: int = 0
    cancel: int = 0

    @property
    def place(self) -> tuple[int, int, int]:
        """What orders positions, requests to cancel apart."""
        return self.attempt, self.stage, self.count

    def and_of(self, other: EventPosition) -> EventPosition:
        """Return the latest position that neither of the two is before."""
        return EventPosition(*min(self.place, other.place), min(self.cancel, other.cancel))

    def __str__(self) -> str:
        return f"{self.attempt}.{self.stage}.{self.count}.{self.cancel}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the position that ``str()`` wrote; None if it did not write this."""
        match = _TEXT.fullmatch(text)
        return None if match is None else cls(*map(int, match.groups()))
