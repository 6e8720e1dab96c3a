"""Snapshots of PostgreSQL as values: what a reader of changes has seen. Pure; ``reads.change_feed`` queries by them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Self

_TEXT: Final = re.compile(r"(\d{1,15})-(\d{1,18}):(\d{1,18}):((?:\d{1,18}(?:,\d{1,18}){0,9999})?)", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = (datetime(9999, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
#: Transaction ids in rows have 32 bits: further back, an earlier one cannot be distinguished from a later one.
_REACH: Final = 2**30


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Which transactions had been committed at the time of a read.

    Transactions are not committed in the order of their ids or times, so one id or time would not do. A snapshot sees a
    transaction if its id is below ``xmax`` and not among the ``running`` (the id list of a ``pg_snapshot``).
    """

    at: datetime
    xmin: int
    xmax: int
    running: frozenset[int] = field(default_factory=frozenset)

    def sees(self, transaction: int) -> bool:
        """Return whether the writes of this transaction were visible."""
        return transaction < self.xmin or (transaction < self.xmax and transaction not in self.running)

    @property
    def age(self) -> tuple[int, int, int]:
        """The order of snapshots of one database."""
        return self.xmax, self.xmin, -len(self.running)

    def can_be_resumed_at(self, now: Snapshot) -> bool:
        """Return whether the changes between the two can be found.

        They cannot if the snapshots are of different databases, or a billion transactions apart.
        """
        return self.xmin <= self.xmax <= now.xmax < self.xmin + _REACH

    @property
    def snapshot(self) -> str:
        """The text of PostgreSQL's ``pg_snapshot``."""
        return f"{self.xmin}:{self.xmax}:{','.join(map(str, sorted(self.running)))}"

    def __str__(self) -> str:
        return f"{(self.at - _EPOCH) // timedelta(milliseconds=1)}-{self.snapshot}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the snapshot that ``str()`` has made ``text`` of, its time in milliseconds; None if it has not."""
        match = _TEXT.fullmatch(text)
        if match is None or int(match[1]) > _LAST:
            return None
        parsed = cls.of(_EPOCH + timedelta(milliseconds=int(match[1])), text.partition("-")[2])
        # PostgreSQL refuses any other order.
        ordered = 0 < parsed.xmin <= parsed.xmax and all(parsed.xmin <= one < parsed.xmax for one in parsed.running)
        return parsed if ordered else None

    @classmethod
    def of(cls, at: datetime, snapshot: str) -> Self:
        """Return the snapshot at the time ``at`` from the text of a ``pg_snapshot``."""
        xmin, xmax, running = snapshot.split(":")
        return cls(at, int(xmin), int(xmax), frozenset(map(int, running.split(","))) if running else frozenset())
