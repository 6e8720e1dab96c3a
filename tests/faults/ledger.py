"""What handlers write down themselves, beside the database: one line as they start, at their effect, and as they end.

Appended in one write each (``O_APPEND``), so lines of many processes do not mix, and those of a killed one stay.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from uuid import UUID


class Mark(StrEnum):
    START = "start"
    EFFECT = "effect"
    """What the outside world would have seen: an e-mail, a payment."""
    END = "end"
    """The handler returned, raised or was interrupted. A killed process leaves none."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line. ``at``: seconds since the epoch, by the reader's clock, which is PostgreSQL's too."""

    mark: Mark
    job_id: UUID
    attempt: int
    pid: int
    at: float


def append(path: Path, mark: Mark, job_id: UUID, attempt: int) -> None:
    """Write a line of this process, now.

    By the clock that counts from the start of the machine: the time of day may be wrong in a process, see ``on_clock``.
    """
    line = f"{mark} {job_id} {attempt} {os.getpid()} {time.monotonic():.6f}\n".encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def read(path: Path) -> Iterator[Line]:
    """Yield all lines; none where nothing has been written."""
    if not path.exists():
        return
    started = time.time() - time.monotonic()
    for line in path.read_text().splitlines():
        mark, job_id, attempt, pid, at = line.split()
        yield Line(Mark(mark), UUID(job_id), int(attempt), int(pid), started + float(at))
