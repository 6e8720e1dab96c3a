"""Callboard: durable jobs over HTTP.

What a project that defines jobs imports::

    from callboard import Run, job

    @job("report.build", queue="reports")
    def build(payload: BuildReport, run: Run) -> Report: ...
"""

from actors.adopt import adopt
from actors.context import Run
from actors.interrupts import JobInterrupted
from actors.registry import job
from db.version import VERSION as __version__  # noqa: N811 - the name that tools look for

__all__ = ["JobInterrupted", "Run", "__version__", "adopt", "job"]
