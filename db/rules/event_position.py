"""The position of a reader in a job's events. Pure; ``callboard.db.reads.timeline`` derives the events."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self


class Stage(IntEnum):
    """The order of an attempt's events. Events are ordered by (attempt, stage, count)."""

    WAITING = 0
    """The attempt waits, and not for its time or its turn. Its count is the time: it may wait more than once."""
    SUBMITTED = 1
    STARTED = 2
    PROGRESS = 3
    ENDED = 4
    """The attempt ended and the job did not."""
    FINISHED = 5
    """The job ended. Its count is the time: a job that is reopened may end again without another attempt."""


_TEXT: Final = re.compile(r"(\d{1,9})\.([0-5])\.(\d{1,15})\.(\d{1,15})", re.ASCII)


@dataclass(frozen=True, slots=True)
class EventPosition:
    """Just after an event; the default is before the first.

    Everything up to (``attempt``, ``stage``, ``count``) has been seen. A cancel can be requested at any time, so it has
    no place in that order: ``cancel`` is the time of the last one seen, in milliseconds since 1970.
    """

    attempt: int = 0
    stage: int = 0
    count: int = 0
    cancel: int = 0

    @property
    def place(self) -> tuple[int, int, int]:
        """The order of positions, without requested cancels."""
        return self.attempt, self.stage, self.count

    def and_of(self, other: EventPosition) -> EventPosition:
        """Return the latest position up to which both readers have seen everything."""
        return EventPosition(*min(self.place, other.place), min(self.cancel, other.cancel))

    def __str__(self) -> str:
        return f"{self.attempt}.{self.stage}.{self.count}.{self.cancel}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the position that ``str()`` has made ``text`` of; None if it has not."""
        match = _TEXT.fullmatch(text)
        return None if match is None else cls(*map(int, match.groups()))
