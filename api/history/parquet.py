"""The Parquet writer of exports; needs pyarrow (``callboard[parquet]``)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import RowMapping

from callboard.db.rules.new_job import OPTIONS, Kind

#: A row group has about so many rows, or bytes. Each has an entry in the footer, which is in memory until the end.
_GROUP_ROWS: Final = 32_768
_GROUP_BYTES: Final = 16 * 2**20

_TIME: Final = pa.timestamp("us", tz="UTC")
_OF_KINDS: Final = {Kind.INTEGER: pa.int32(), Kind.SECONDS: pa.float64(), Kind.TIME: _TIME}
_TYPES: Final = {
    **{name: _OF_KINDS[option.kind] for name, option in OPTIONS.items() if option.kind in _OF_KINDS},
    "priority": pa.int16(),
    "attempt": pa.int32(),
    "retries": pa.int32(),
    "wait_seconds": pa.float64(),
    "run_seconds": pa.float64(),
    **dict.fromkeys(
        ("created_at", "started_at", "attempt_started_at", "finished_at", "cancel_requested_at"),
        _TIME,
    ),
}
_IDS: Final = ("id", *(name for name, option in OPTIONS.items() if option.kind is Kind.JOB_ID))


class Parquet:
    """Encodes one file, a row group at a time. Ids, and JSON such as ``tags`` and ``error``, are strings."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._schema = pa.schema([(name, _TYPES.get(name, pa.string())) for name in columns])
        self._sink = io.BytesIO()
        self._writer = pq.ParquetWriter(self._sink, self._schema, compression="zstd")
        self._group: list[Any] = []

    def write(self, rows: Sequence[RowMapping]) -> bytes:
        """Buffer rows; return the row group if it is full, or no bytes."""
        arrays = [pa.array([_plain(name, row[name]) for row in rows], kind) for name, kind in self._columns()]
        self._group.append(pa.record_batch(arrays, schema=self._schema))
        full = (
            sum(batch.num_rows for batch in self._group) >= _GROUP_ROWS
            or sum(batch.nbytes for batch in self._group) >= _GROUP_BYTES
        )
        return self._end_group() if full else b""

    def close(self) -> bytes:
        """Return the last row group, and the footer."""
        last = self._end_group()
        self._writer.close()
        return last + self._drained()

    def _columns(self) -> list[tuple[str, Any]]:
        return [(field.name, field.type) for field in self._schema]

    def _end_group(self) -> bytes:
        table = pa.Table.from_batches(self._group, self._schema)
        self._group = []
        if table.num_rows:
            self._writer.write_table(table, row_group_size=table.num_rows)
        return self._drained()

    def _drained(self) -> bytes:
        drained = self._sink.getvalue()
        self._sink.seek(0)
        self._sink.truncate()
        return drained


def _plain(name: str, value: Any) -> Any:
    return str(value) if name in _IDS and value is not None else value
