"""Progress of the attempts of one process, written a few times a second."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import structlog

from callboard.actors.execution.progress import Progress
from callboard.actors.loop import Loop
from callboard.db.attempt.progress import report_progress
from callboard.db.rules.attempts import ProgressReport
from callboard.db.sql.engine import Database, reason_of
from callboard.db.sql.group_commit import BAD_DATA

_log = structlog.get_logger(__name__)


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
            return progress.unwritten()

    def _write(self) -> None:
        with self._writing:
            found = ((progress, progress.unwritten()) for progress in list(self._attempts))
            self._store([(progress, report) for progress, report in found if report is not None])

    def _store(self, reports: Sequence[tuple[Progress, ProgressReport]]) -> None:
        """Write reports. While the database is away they stay unwritten; one that it refuses is dropped."""
        if not reports:
            return
        try:
            with self._database.begin() as connection:
                report_progress(connection, [report for _, report in reports])
        except BAD_DATA as error:
            if len(reports) > 1:
                for each in reports:
                    self._store([each])
                return
            _log.warning("progress_refused", reason=reason_of(error), job_id=str(reports[0][1].attempt_id.job_id))
        for progress, report in reports:
            progress.written(report)
