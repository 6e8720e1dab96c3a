"""Writers of exported rows, one class a format, each fed piece by piece."""

from __future__ import annotations

import csv
import importlib
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol

import orjson
from sqlalchemy import RowMapping

from callboard.api.wire.parameters import refused
from callboard.api.wire.times import rfc3339
from callboard.db.reads.exports import JSON_COLUMNS
from callboard.db.rules.text import never_a_formula


class ExportFormat(StrEnum):
    """What an export is written as."""

    NDJSON = "ndjson"
    CSV = "csv"
    PARQUET = "parquet"


class Writer(Protocol):
    """Encodes rows; buffers a bounded number of bytes."""

    def write(self, rows: Sequence[RowMapping]) -> bytes:
        """Encode rows, and return the bytes that are complete, maybe none."""

    def close(self) -> bytes:
        """Return the last bytes."""


MEDIA_TYPES: Final[Mapping[ExportFormat, str]] = {
    ExportFormat.NDJSON: "application/x-ndjson",
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.PARQUET: "application/vnd.apache.parquet",
}


def writer_of(export_format: ExportFormat, columns: Sequence[str], *, resumed: bool) -> Writer:
    """Return a new writer.

    Args:
        export_format: of the bytes.
        columns: to write.
        resumed: whether the bytes continue an export that was cut off: CSV then has no header.

    Raises:
        InvalidInput: the server has no pyarrow, which Parquet needs.
    """
    if export_format is ExportFormat.NDJSON:
        return _Ndjson(columns)
    if export_format is ExportFormat.CSV:
        return _Csv(columns, header=not resumed)
    try:
        parquet = importlib.import_module("callboard.api.history.parquet")
    except ModuleNotFoundError:
        raise refused("format", "parquet needs callboard[parquet] on the server") from None
    new_writer: Callable[[Sequence[str]], Writer] = parquet.Parquet
    return new_writer(columns)


class _Ndjson:
    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns

    def write(self, rows: Sequence[RowMapping]) -> bytes:
        return b"".join(
            orjson.dumps({name: _json(name, row[name]) for name in self._columns}, option=orjson.OPT_APPEND_NEWLINE)
            for row in rows
        )

    def close(self) -> bytes:
        return b""


def _json(name: str, value: Any) -> Any:
    if name in JSON_COLUMNS:
        return None if value is None else orjson.Fragment(value)
    return rfc3339(value) if isinstance(value, datetime) else value


class _Csv:
    def __init__(self, columns: Sequence[str], *, header: bool) -> None:
        self._columns = columns
        self._header = header

    def write(self, rows: Sequence[RowMapping]) -> bytes:
        text = io.StringIO()
        lines = csv.writer(text)
        if self._header:
            lines.writerow(self._columns)
            self._header = False
        lines.writerows([_cell(row[name]) for name in self._columns] for row in rows)
        return text.getvalue().encode()

    def close(self) -> bytes:
        return b""


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return rfc3339(value)
    return never_a_formula(value) if isinstance(value, str) else value
