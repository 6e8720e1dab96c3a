"""Progress of the attempts of one process, written a few times a second."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from callboard.actors.execution.progress import Progress
from callboard.actors.loop import Loop
from callboard.db.attempt.progress import report_progress
from callboard.db.rules.attempts import ProgressReport
from callboard.db.sql.engine import Database


class ProgressWriter:
    """Writes new reports, those of all attempts of the process in one statement."""

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
        """Add an attempt that begins."""
        self._attempts[progress] = None

    def last_report(self, progress: Progress) -> ProgressReport | None:
        """Remove an attempt; return its last report if that has not been written.

        Waits for a write that is under way: every report is either written by then, or returned here.
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
