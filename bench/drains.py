"""What both sides of the drain benchmark have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.processes import cpu_seconds

#: Share of the jobs at the beginning that is left out of the rate: connecting and the first of everything.
SKIPPED = 0.1
#: Seconds for one backlog.
TIMEOUT = 180.0


@dataclass(frozen=True, slots=True)
class Shape:
    """Worker processes, and threads in each."""

    processes: int
    threads: int

    def __str__(self) -> str:
        return f"{self.processes} × {self.threads} threads"


@dataclass(frozen=True, slots=True)
class Drained:
    """One backlog worked off."""

    per_second: float
    cpu_ms_per_job: dict[str, float]
    """Milliseconds of CPU time by part of the system."""


class CpuMeter:
    """CPU time by part of the system, from when it is made."""

    def __init__(self, parts: Mapping[str, Sequence[int]]) -> None:
        """``parts``: process ids by name of the part."""
        self._parts = parts
        self._before = self._now()

    def per_job(self, jobs: int) -> dict[str, float]:
        """Return milliseconds per job, so far."""
        return {part: (after - self._before[part]) / jobs * 1000 for part, after in self._now().items()}

    def _now(self) -> dict[str, float]:
        return {part: sum(map(cpu_seconds, pids)) for part, pids in self._parts.items()}
