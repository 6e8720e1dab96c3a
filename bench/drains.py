"""What all sides of the drain benchmark have in common: work off a backlog, and see when each job was recorded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import LiteralString, Protocol

import psycopg
from psycopg import sql

from bench.processes import BenchFailed, cpu_seconds, memory_bytes

#: Share of the jobs at the beginning that is left out of the rate: starting, connecting and the first of everything.
SKIPPED = 0.1
#: Seconds for one backlog.
TIMEOUT = 180.0
_LOOK_EVERY = 0.1


@dataclass(frozen=True, slots=True)
class Shape:
    """Worker processes, and threads in each."""

    processes: int
    threads: int

    def __str__(self) -> str:
        return f"{self.processes} × {self.threads} threads"


@dataclass(frozen=True, slots=True)
class Measured:
    """One backlog worked off, or many requests answered."""

    per_second: float
    cpu_ms_per_job: dict[str, float]
    """Milliseconds of CPU time by part of the system, over the jobs that the rate is of."""
    memory_mb: dict[str, float] = field(default_factory=dict)
    """Megabytes by part of the system when the last job was done, of all its processes."""


class Contestant(Protocol):
    """What can work off a backlog."""

    def drain(self, jobs: int) -> Measured:
        """Lay up a backlog of jobs that do nothing, work it off, and say how it went."""


class Meter:
    """CPU time and memory by part of the system."""

    def __init__(self, parts: Mapping[str, Sequence[int]]) -> None:
        """``parts``: process ids by name of the part. Time counts from now."""
        self._parts = parts
        self._before = self._seconds()

    def cpu_ms_per_job(self, jobs: int) -> dict[str, float]:
        """Return milliseconds per job, so far."""
        return {part: (after - self._before[part]) / jobs * 1000 for part, after in self._seconds().items()}

    def memory_mb(self) -> dict[str, float]:
        """Return megabytes, now."""
        return {part: sum(map(memory_bytes, pids)) / 2**20 for part, pids in self._parts.items()}

    def _seconds(self) -> dict[str, float]:
        return {part: sum(map(cpu_seconds, pids)) for part, pids in self._parts.items()}


@dataclass(frozen=True)
class Record:
    """Where a contestant records in PostgreSQL that a job is done.

    Whoever it is, PostgreSQL itself says when: each row's time is that of the commit which made it durable.
    """

    url: str
    rows: LiteralString
    """FROM and WHERE of the rows of jobs that are done; ``%(mark)s`` in it is ``mark``."""
    mark: str = ""

    def count(self) -> int:
        """Return how many jobs are done."""
        with self._connect() as connection:
            return self._count(connection)

    def wait(self, jobs: int, *, check: Callable[[], None]) -> None:
        """Return when so many jobs are done.

        Raises:
            BenchFailed: it takes too long, or ``check`` raised it.
        """
        with self._connect() as connection:
            for _ in self._looks(connection, jobs, already=0, check=check):
                pass

    def watch(
        self, jobs: int, *, already: int, parts: Mapping[str, Sequence[int]], check: Callable[[], None]
    ) -> Measured:
        """Return when so many more jobs than ``already`` are done.

        Raises:
            BenchFailed: it takes too long, or ``check`` raised it.
        """
        meter, first, released = Meter(parts), 0, time.time()
        with self._connect() as connection:
            for done in self._looks(connection, jobs, already=already, check=check):
                if not first and done >= jobs * SKIPPED:
                    meter, first = Meter(parts), done
            cpu, memory = meter.cpu_ms_per_job(jobs - first), meter.memory_mb()
            return Measured(rate(self._times(connection, already, jobs), released=released), cpu, memory)

    def _looks(
        self, connection: psycopg.Connection, jobs: int, *, already: int, check: Callable[[], None]
    ) -> Iterator[int]:
        """Yield how many jobs are done, until so many are."""
        give_up_at = time.monotonic() + TIMEOUT
        while (done := self._count(connection) - already) < jobs:
            yield done
            check()
            if time.monotonic() > give_up_at:
                raise BenchFailed(f"{jobs - done} of {jobs} jobs were not done after {TIMEOUT:.0f} s")
            time.sleep(_LOOK_EVERY)

    def _connect(self) -> psycopg.Connection:
        # What is asked here is none of the contestant's statements.
        return psycopg.connect(self.url, autocommit=True, options="-c log_statement=none")

    def _count(self, connection: psycopg.Connection) -> int:
        return int(self._ask(connection, "SELECT count(*) ")[0][0])

    def _times(self, connection: psycopg.Connection, already: int, jobs: int) -> list[float]:
        committed = "SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 "
        found = sorted(float(row[0]) for row in self._ask(connection, committed))
        return found[already : already + jobs]

    def _ask(self, connection: psycopg.Connection, what: LiteralString) -> list[tuple[float, ...]]:
        return connection.execute(sql.SQL(what) + sql.SQL(self.rows), {"mark": self.mark}).fetchall()


def rate(times: Sequence[float], *, released: float) -> float:
    """Return jobs per second from the times at which they were recorded, ascending, without the first of them.

    ``released`` is when they could begin: it counts only where all were recorded by one commit.
    """
    began = times[int(len(times) * SKIPPED)]
    if began == times[-1]:
        return len(times) / (began - released)
    # A group commit has one time for many jobs; those of the first are no work of the time after it.
    return sum(each > began for each in times) / (times[-1] - began)
