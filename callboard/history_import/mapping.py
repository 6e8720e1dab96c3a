"""Maps rows of another system's status table to rows of the history. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from psycopg.types.json import Jsonb

from callboard.db.errors import ConfigurationError
from callboard.db.rules.ids import first_id
from callboard.db.rules.json_values import unstorable
from callboard.db.rules.outcome import JobError
from callboard.db.rules.states import TERMINAL, Reason, Status
from callboard.db.rules.text import storable

#: Columns that can be imported. Those of ``REQUIRED`` must be present.
COLUMNS: Final = (
    "id", "type", "queue", "status", "owner", "priority", "created_at", "scheduled_at", "started_at", "finished_at",
    "attempts", "worker", "payload", "result", "error_type", "error",
)  # fmt: skip
REQUIRED: Final = ("id", "type", "status", "created_at", "finished_at")

SKIP: Final = "skip"
"""Status of rows that are skipped, as their jobs are not finished."""

_TIME_LIMIT: Final = 3600.0
_LONGEST_NAME: Final = 255
_LARGEST: Final = 2**31 - 1
_TAIL: Final = (1 << 74) - 1


class InvalidRow(ValueError):
    """A row cannot be a finished job; the message has the column, the value and a solution."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """How rows are read.

    A job's id is computed from ``source``, the row's id and its ``created_at``: a row always becomes the same job.
    """

    source: str
    """Name of the source table; the value of the tag ``imported``."""
    columns: Dictionary[str, str]
    """Column of the history to column of the row; other columns have the same name in both."""
    constants: Dictionary[str, str]
    """Column of the history to the value of all rows."""
    statuses: Dictionary[str, str]
    """Status of the row to one of a finished job, or ``SKIP``."""
    zone: tzinfo = UTC
    """Time zone of times without one."""

    def require_columns(self, present: Iterable[str]) -> None:
        """Check that all mapped and all required columns are present.

        Raises:
            ConfigurationError: a column is missing.
        """
        there = list(present)
        for name in COLUMNS:
            source = self.columns.get(name, name)
            if source in there or name in self.constants:
                continue
            if name in self.columns:
                raise ConfigurationError(f"There is no column {source!r} for {name}. There are: {', '.join(there)}.")
            if name in REQUIRED:
                raise ConfigurationError(
                    f"There is no column {name!r}. Say which it is: --map {name}=COLUMN, or --set {name}=VALUE for all "
                    f"rows. There are: {', '.join(there)}."
                )

    def values(self, row: Dictionary[str, str]) -> dict[str, Any] | None:
        """Return the values of a history row by column; None for a row to skip.

        Raises:
            InvalidRow: the row cannot be a finished job.
        """
        status = self._status(row)
        if status is None:
            return None
        # To the millisecond, as in the id: a job is searched in the month, and at the time, of its id.
        created_at = _whole_milliseconds(self._required_time(row, "created_at"))
        finished_at = self._required_time(row, "finished_at")
        if finished_at < created_at:
            raise InvalidRow(f"finished_at ({finished_at.isoformat()}) is before created_at ({created_at.isoformat()})")
        started_at = self._time(row, "started_at")
        ran = status in {Status.SUCCEEDED, Status.FAILED} or started_at is not None
        attempts = self._number(row, "attempts", least=int(ran), most=_LARGEST, default=int(ran))
        error = None if status is Status.SUCCEEDED else self._error(row, status, attempts)
        return {
            "id": self._id(row, created_at),
            "created_at": created_at,
            "type": self._name(row, "type"),
            "queue": self._name(row, "queue", "default"),
            "status": status.value,
            "priority": self._number(row, "priority", least=0, most=9, default=5),
            "owner": self._name(row, "owner", "imported"),
            "payload": self._json(row, "payload") or Jsonb({}),
            "tags": Jsonb({"imported": self.source}),
            "attempt": attempts,
            "retries": max(attempts - 1, 0),
            "max_retries": max(attempts - 1, 0),
            "time_limit": _TIME_LIMIT,
            "revision": 1,
            "scheduled_at": self._time(row, "scheduled_at"),
            "started_at": started_at,
            # Of the last attempt; with more than one, its start is not known.
            "attempt_started_at": started_at if attempts == 1 else None,
            "worker_id": None,
            "worker": storable(self._text(row, "worker")) or None,
            "error": error,
            "finished_at": finished_at,
            "result": self._json(row, "result") if status is Status.SUCCEEDED else None,
        }

    def _text(self, row: Dictionary[str, str], column: str) -> str:
        if column in self.constants:
            return self.constants[column]
        return (row.get(self.columns.get(column, column)) or "").strip()

    def _status(self, row: Dictionary[str, str]) -> Status | None:
        text = self._text(row, "status")
        mapped = self.statuses.get(text, text)
        if mapped == SKIP:
            return None
        if mapped not in TERMINAL:
            names = ", ".join(sorted(TERMINAL))
            raise InvalidRow(f"status is {text!r}; say what it is: --status {text}=ONE of {names}, or {SKIP}")
        return Status(mapped)

    def _id(self, row: Dictionary[str, str], created_at: datetime) -> UUID:
        text = self._text(row, "id")
        if not text:
            raise InvalidRow("id is empty; choose a column that tells all rows apart: --map id=COLUMN")
        digest = int.from_bytes(sha256(f"{self.source}\0{text}".encode(errors="surrogateescape")).digest()[:12])
        version, variant = 0x7 << 76, 0x2 << 62
        low = digest & _TAIL
        return UUID(int=first_id(created_at).int | version | (low >> 62) << 64 | variant | low & (1 << 62) - 1)

    def _name(self, row: Dictionary[str, str], column: str, default: str = "") -> str:
        text = self._text(row, column) or default
        if not 0 < len(text) <= _LONGEST_NAME or not text.isprintable():
            raise InvalidRow(f"{column} is {text[:80]!r}; it must be 1 to {_LONGEST_NAME} printable characters")
        return text

    def _number(self, row: Dictionary[str, str], column: str, *, least: int, most: int, default: int) -> int:
        text = self._text(row, column)
        if not text:
            return default
        try:
            number = int(text)
        except ValueError:
            raise InvalidRow(f"{column} is {text[:80]!r}; it must be a whole number") from None
        if number > most:
            raise InvalidRow(f"{column} is {number}; {most} is the most")
        return max(number, least)

    def _required_time(self, row: Dictionary[str, str], column: str) -> datetime:
        time = self._time(row, column)
        if time is None:
            raise InvalidRow(f"{column} is empty; every finished job has one")
        return time

    def _time(self, row: Dictionary[str, str], column: str) -> datetime | None:
        text = self._text(row, column)
        if not text:
            return None
        try:
            if text.replace(".", "", 1).isdecimal():
                return datetime.fromtimestamp(float(text), UTC)
            time = datetime.fromisoformat(text)
            return (time.replace(tzinfo=self.zone) if time.tzinfo is None else time).astimezone(UTC)
        except (ValueError, OverflowError, OSError):
            raise InvalidRow(
                f"{column} is {text[:80]!r}; it must be a time like 2026-11-22T07:15:00Z, or seconds since 1970"
            ) from None

    def _json(self, row: Dictionary[str, str], column: str) -> Jsonb | None:
        text = self._text(row, column)
        if not text:
            return None
        try:
            value = json.loads(text, parse_constant=_no_number)
        except (ValueError, RecursionError):
            raise InvalidRow(f"{column} is {text[:80]!r}; it must be JSON") from None
        for refused in unstorable(value):
            raise InvalidRow(f"{column} cannot be stored, at {refused.pointer!r}: {refused.detail}")
        return Jsonb(value)

    def _error(self, row: Dictionary[str, str], status: Status, attempts: int) -> Jsonb:
        error = JobError(
            Reason.EXCEPTION if status is Status.FAILED else Reason(status.value),
            self._text(row, "error_type") or status.title(),
            self._text(row, "error"),
            attempts,
        )
        return Jsonb({name: getattr(error, name) for name in ("reason", "type", "message", "attempt")})


def _whole_milliseconds(time: datetime) -> datetime:
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def _no_number(name: str) -> Any:
    raise ValueError(name)
