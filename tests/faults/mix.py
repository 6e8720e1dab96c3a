"""The load's mix of jobs, and what must come of each."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any

from tests.faults.hostile import TIME_LIMIT, WAYS


class Kind(StrEnum):
    SHORT = "short"
    PROGRESS = "with progress"
    LONG = "long"
    ASYNC = "async"
    HOLD = "in one C call"
    RETRIED = "retried"
    FAILING = "failing"
    SCHEDULED = "scheduled"
    CANCELLED = "cancelled while it runs"
    CANCELLED_WAITING = "cancelled while it waits"
    ATTACHING = "with a file"
    POISON = "poison"
    HOSTILE = "hostile"


#: Kinds that start as soon as they are accepted: when the last of them starts tells when the system is back.
AT_ONCE = frozenset({Kind.SHORT, Kind.PROGRESS, Kind.LONG, Kind.ASYNC, Kind.HOLD})
#: Kinds that the load cancels.
TO_CANCEL = frozenset({Kind.CANCELLED, Kind.CANCELLED_WAITING})

_SHARES = {
    Kind.SHORT: 58,
    Kind.PROGRESS: 8,
    Kind.ASYNC: 6,
    Kind.LONG: 4,
    Kind.HOLD: 2,
    Kind.RETRIED: 7,
    Kind.FAILING: 5,
    Kind.SCHEDULED: 6,
    Kind.CANCELLED: 2,
    Kind.CANCELLED_WAITING: 2,
}
_OUTCOMES = {
    Kind.FAILING: "failed",
    Kind.POISON: "failed",
    Kind.CANCELLED: "cancelled",
    Kind.CANCELLED_WAITING: "cancelled",
}


@dataclass(frozen=True, slots=True)
class Spec:
    """A job to submit."""

    kind: Kind
    number: int
    type: str
    work: dict[str, Any]
    options: dict[str, Any]

    @property
    def expected(self) -> str:
        """The only right outcome."""
        if self.kind is Kind.HOSTILE:
            return WAYS[self.work["how"]].expected
        return _OUTCOMES.get(self.kind, "succeeded")

    def body(self) -> dict[str, Any]:
        """Return the submission as JSON."""
        return {"type": self.type, "payload": self.work, **self.options}


class Mix:
    """Draws jobs; the same ones for the same ``random``. Numbers are unique within one."""

    def __init__(self, random: Random, ledger: Path) -> None:
        self._random = random
        self._ledger = str(ledger)
        self._numbers = itertools.count(random.randrange(10**9) * 1_000_000)

    def draw(self) -> Spec:
        """Return a job of a kind by the shares."""
        [kind] = self._random.choices(list(_SHARES), weights=list(_SHARES.values()))
        return self.of(kind)

    def several(self, count: int) -> Sequence[Spec]:
        """Return so many jobs."""
        return [self.draw() for _ in range(count)]

    def holding(self, seconds: float) -> Spec:
        """Return a job that sits so long in one C call."""
        return self._spec(Kind.HOLD, "faults.hold", seconds=seconds)

    def lasting(self, seconds: float) -> Spec:
        """Return a job that lasts so long, and stops when told."""
        return self._spec(Kind.LONG, "faults.slow", seconds=seconds)

    def hostile(self, how: str, type_: str) -> Spec:
        """Return a job that is hostile in this way."""
        return self._spec(Kind.HOSTILE, type_, {"time_limit": TIME_LIMIT}, how=how)

    def of(self, kind: Kind) -> Spec:
        """Return a job of this kind."""
        uniform = self._random.uniform
        match kind:
            case Kind.SHORT:
                return self._spec(kind, "faults.work")
            case Kind.PROGRESS:
                return self._spec(kind, "faults.work", seconds=uniform(0.1, 0.8), steps=5)
            case Kind.ASYNC:
                return self._spec(kind, "faults.async", seconds=uniform(0, 0.3))
            case Kind.LONG:
                return self.lasting(uniform(0.8, 2))
            case Kind.HOLD:
                return self.holding(uniform(0.5, 1.2))
            case Kind.RETRIED:
                return self._spec(kind, "faults.work", fail_until=self._random.randint(2, 3))
            case Kind.FAILING:
                retries = self._random.randint(0, 1)
                return self._spec(kind, "faults.work", {"max_retries": retries}, fail_until=10**6)
            case Kind.SCHEDULED:
                return self._spec(kind, "faults.work", {"delay": round(uniform(1, 6), 3)})
            case Kind.CANCELLED:
                return self._spec(kind, "faults.slow", seconds=120)
            case Kind.CANCELLED_WAITING:
                return self._spec(kind, "faults.work", {"delay": 3600})
            case Kind.ATTACHING:
                return self._spec(kind, "faults.work", attach_bytes=2**22)
            case Kind.POISON:
                return self._spec(kind, "faults.poison")
            case Kind.HOSTILE:
                how = self._random.choice(list(WAYS))
                return self.hostile(how, self._random.choice(WAYS[how].types))

    def _spec(self, kind: Kind, type_: str, options: dict[str, Any] | None = None, **work: object) -> Spec:
        number = next(self._numbers)
        return Spec(kind, number, type_, {"number": number, "ledger": self._ledger, **work}, options or {})
