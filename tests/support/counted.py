"""The rollups as they must be, counted from the history in plain Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from math import ceil, log
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from callboard.db.models import history_rollup, job_history

Key = tuple[str, str, str | None, datetime, str]


@dataclass
class Counted:
    jobs: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0
    attempts: int = 0
    waited: int = 0
    wait_sum: timedelta | None = None
    wait_max: timedelta | None = None
    wait_histogram: int | None = None
    ran: int = 0
    run_sum: timedelta | None = None
    run_max: timedelta | None = None
    run_histogram: int | None = None

    def add(self, row: RowMapping) -> None:
        self.jobs += 1
        setattr(self, row["status"], getattr(self, row["status"]) + 1)
        self.attempts += row["attempt"]
        if row["started_at"] is not None:
            self.waited += 1
            due = max(row["created_at"], row["scheduled_at"] or row["created_at"])
            self._measure("wait", max(timedelta(0), row["started_at"] - due))
        if row["attempt_started_at"] is not None:
            self.ran += 1
            self._measure("run", max(timedelta(0), row["finished_at"] - row["attempt_started_at"]))

    def _measure(self, what: str, took: timedelta) -> None:
        so_far: timedelta | None = getattr(self, f"{what}_sum")
        longest: timedelta | None = getattr(self, f"{what}_max")
        setattr(self, f"{what}_sum", took + (so_far or timedelta(0)))
        setattr(self, f"{what}_max", took if longest is None else max(longest, took))
        setattr(self, f"{what}_histogram", (getattr(self, f"{what}_histogram") or 0) + 10 ** (12 * lane_of(took)))


def lane_of(took: timedelta) -> int:
    return max(0, ceil(log(max(took.total_seconds(), 0.001) / 0.001) / log(1.025 / 0.975)))


def counted(connection: Connection) -> dict[Key, Counted]:
    """Count the whole history."""
    found: dict[Key, Counted] = defaultdict(Counted)
    for row in connection.execute(select(job_history)).mappings():
        for key in keys_of(row):
            found[key].add(row)
    return dict(found)


def keys_of(row: RowMapping) -> Iterator[Key]:
    minute = row["finished_at"].replace(second=0, microsecond=0)
    hour = minute.replace(minute=0)
    for grain, starts_at in (("minute", minute), ("hour", hour), ("day", hour.replace(hour=0))):
        yield grain, "total", None, starts_at, ""
        yield grain, "owner", row["owner"], starts_at, row["owner"]
        for owner in (None, row["owner"]):
            for dimension in ("type", "queue", "status"):
                yield grain, dimension, owner, starts_at, row[dimension]


def rolled_up(connection: Connection) -> dict[Key, Counted]:
    """Return what the rollups say."""
    names = [field.name for field in fields(Counted)]
    found: dict[Key, Counted] = {}
    for row in connection.execute(select(history_rollup)).mappings():
        values: dict[str, Any] = {name: row[name] for name in names}
        for name in ("wait_histogram", "run_histogram"):
            values[name] = None if values[name] is None else int(values[name])
        found[row["grain"], row["dimension"], row["owner"], row["starts_at"], row["value"]] = Counted(**values)
    return found
