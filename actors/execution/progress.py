"""Progress of an attempt: the latest report, kept in memory."""

from __future__ import annotations

import math
import threading

from callboard.db.rules.attempts import AttemptId, ProgressReport
from callboard.db.rules.text import said, shortened

_LONGEST = 1000


class Progress:
    """The latest report of one attempt. Any thread of the handler may report."""

    def __init__(self, attempt_id: AttemptId) -> None:
        self._attempt_id = attempt_id
        self._lock = threading.Lock()
        self._seq = 0
        self._latest: tuple[float, float | None, str | None, str | None] | None = None
        self._unwritten: ProgressReport | None = None

    def report(self, current: float, total: float | None, step: str | None, message: str | None) -> None:
        """Store a report. One that has not been written yet is replaced.

        A total that is not a positive finite number counts as unknown. A report whose ``current`` is not finite is
        dropped: a wrong number is no reason to fail a job.
        """
        done = _finite(current)
        if done is None:
            return
        all_ = None if total is None else _finite(total)
        latest = (
            max(0.0, done),
            all_ if all_ is not None and all_ > 0 else None,
            None if step is None else shortened(said(step), _LONGEST),
            None if message is None else shortened(said(message), _LONGEST),
        )
        with self._lock:
            self._latest = latest

    def unwritten(self) -> ProgressReport | None:
        """Return the latest report, which is to be written, until :meth:`written` is called; None if there is none."""
        with self._lock:
            if self._latest is not None:
                current, total, step, message = self._latest
                self._latest = None
                self._seq += 1
                self._unwritten = ProgressReport(self._attempt_id, self._seq, current, total, step, message)
            return self._unwritten

    def written(self, report: ProgressReport) -> None:
        """Record that a report has been written, or is not to be written again."""
        with self._lock:
            if self._unwritten is report:
                self._unwritten = None


def _finite(number: float) -> float | None:
    try:
        number = float(number)
    except OverflowError:  # an integer beyond all floats
        return None
    return number if math.isfinite(number) else None
