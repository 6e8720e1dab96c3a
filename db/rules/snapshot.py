"""What a reader of changes has seen: a snapshot of PostgreSQL, by value. Pure; ``reads.change_feed`` reads by it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Self

_TEXT: Final = re.compile(r"(\d{1,15})-(\d{1,18}):(\d{1,18}):((?:\d{1,18}(?:,\d{1,18}){0,9999})?)", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = (datetime(9999, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
#: Transaction ids of rows have 32 bits, so further back they cannot be told from later ones.
_REACH: Final = 2**30


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Which transactions had been committed when something was read.

    Transactions are not committed in the order of their ids or times, so neither of these would tell: a transaction is
    seen if its id is below ``xmax`` and it was not ``running`` (an id of a pg_snapshot's list).
    """

    at: datetime
    xmin: int
    xmax: int
    running: frozenset[int] = field(default_factory=frozenset)

    def sees(self, transaction: int) -> bool:
        """Whether what this transaction wrote was there."""
        return transaction < self.xmin or (transaction < self.xmax and transaction not in self.running)

    @property
    def age(self) -> tuple[int, int, int]:
        """Orders moments of one database."""
        return self.xmax, self.xmin, -len(self.running)

    def can_be_resumed_at(self, now: Snapshot) -> bool:
        """Whether changes since then can be told; not those of another database, nor after a billion transactions."""
        return self.xmin <= self.xmax <= now.xmax < self.xmin + _REACH

    @property
    def snapshot(self) -> str:
        """As PostgreSQL's ``pg_snapshot``."""
        return f"{self.xmin}:{self.xmax}:{','.join(map(str, sorted(self.running)))}"

    def __str__(self) -> str:
        return f"{(self.at - _EPOCH) // timedelta(milliseconds=1)}-{self.snapshot}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the moment that ``str()`` wrote, to the millisecond; None if it did not write this."""
        match = _TEXT.fullmatch(text)
        if match is None or int(match[1]) > _LAST:
            return None
        moment = cls.of(_EPOCH + timedelta(milliseconds=int(match[1])), text.partition("-")[2])
        # As PostgreSQL wants it; it refuses anything else.
        ordered = 0 < moment.xmin <= moment.xmax and all(moment.xmin <= one < moment.xmax for one in moment.running)
        return moment if ordered else None

    @classmethod
    def of(cls, at: datetime, snapshot: str) -> Self:
        """Return the moment of a ``pg_snapshot`` as PostgreSQL writes it."""
        xmin, xmax, running = snapshot.split(":")
        return cls(at, int(xmin), int(xmax), frozenset(map(int, running.split(","))) if running else frozenset())
