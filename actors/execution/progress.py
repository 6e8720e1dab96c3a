"""Progress of an attempt: the latest report, kept in memory."""

from __future__ import annotations

import math
import threading

from callboard.db.rules.attempts import AttemptId, ProgressReport
from callboard.db.rules.text import shortened

_LONGEST = 1000


class Progress:
    """The latest report of one attempt. Any thread of the handler may report."""

    def __init__(self, attempt_id: AttemptId) -> None:
        self._attempt_id = attempt_id
        self._lock = threading.Lock()
        self._seq = 0
        self._latest: tuple[float, float | None, str | None, str | None] | None = None

    def report(self, current: float, total: float | None, step: str | None, message: str | None) -> None:
        """Store a report. One that has not been written yet is replaced.

        A total that is not a positive finite number counts as unknown. A report whose ``current`` is not finite is
        dropped: a wrong number is no reason to fail a job.
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
        """Return the report to write, or None if there is no new one."""
        with self._lock:
            if self._latest is None:
                return None
            current, total, step, message = self._latest
            self._latest = None
            self._seq += 1
            return ProgressReport(self._attempt_id, self._seq, current, total, step, message)
