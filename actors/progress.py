"""Progress of the attempts of one process: kept in memory at once, written a few times a second."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from uuid import UUID

from actors.loop import Loop
from db.engine import Database
from db.progress import ProgressReport, report_progress
from db.text import shortened

_LONGEST = 1000


class Progress:
    """The latest report of one attempt. Any thread of the handler may report."""

    def __init__(self, job_id: UUID, attempt: int) -> None:
        self._job_id = job_id
        self._attempt = attempt
        self._lock = threading.Lock()
        self._seq = 0
        self._latest: tuple[float, float | None, str | None, str | None] | None = None

    def report(self, current: float, total: float | None, step: str | None, message: str | None) -> None:
        """Remember a report; one that has not been written yet is replaced.

        A total that is no positive number counts as unknown, a report whose ``current`` is no number is dropped:
        progress is for people, and no reason to fail a job.
        """
        current = float(current)
        if not math.isfinite(current):
            return
        total = None if total is None or not math.isfinite(total) or total <= 0 else float(total)
        with self._lock:
            self._latest = (
                max(0.0, current),
                total,
                None if step is None else shortened(str(step), _LONGEST),
                None if message is None else shortened(str(message), _LONGEST),
            )

    def take(self) -> ProgressReport | None:
        """Return the report that is to be written, or None when there is nothing new."""
        with self._lock:
            if self._latest is None:
                return None
            current, total, step, message = self._latest
            self._latest = None
            self._seq += 1
            return ProgressReport(self._job_id, self._attempt, self._seq, current, total, step, message)


class ProgressWriter:
    """Writes what is new, for all attempts of the process in one statement."""

    def __init__(self, database: Database, *, interval: float) -> None:
        """``interval``: seconds between two writes."""
        self._database = database
        self._attempts: dict[Progress, None] = {}
        self._writing = threading.Lock()
        self._loop = Loop("progress", self._write, interval=interval, jitter=0)

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._loop.alive

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def add(self, progress: Progress) -> None:
        """Watch an attempt that begins."""
        self._attempts[progress] = None

    def last_report(self, progress: Progress) -> ProgressReport | None:
        """Stop watching an attempt; return its last report if it has not been written.

        A write under way is awaited, so that a report is stored before the end of its attempt, or handed out here.
        """
        del self._attempts[progress]
        with self._writing:
            return progress.take()

    def _write(self) -> None:
        with self._writing:
            reports = _new(list(self._attempts))
            if reports:
                with self._database.begin() as connection:
                    report_progress(connection, reports)


def _new(attempts: Iterable[Progress]) -> list[ProgressReport]:
    return [report for progress in attempts if (report := progress.take()) is not None]
