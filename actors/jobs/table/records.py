"""The rows of a table in the engine: reads them, and counts duplicates.

They are in the table ``records``, whose columns ``c0``, ``c1``, … are text. No name from the file becomes SQL.
"""

# ruff: noqa: S608 - the SQL is made of this file's constants and of column numbers; all else is a parameter.

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from callboard.actors.jobs.table.dialect import Dialect
from callboard.actors.jobs.table.engine import Engine
from callboard.actors.jobs.table.progress import Watch, part
from callboard.actors.jobs.table.source import BrokenTable

_LONGEST_ROW: Final = 2_000_000
"""Bytes. A quote that is never closed makes one row of the rest of the file."""

_MOST_REJECTS: Final = 1_000
"""Broken rows after which reading ends."""

_READ: Final = """
    CREATE TABLE records AS SELECT * FROM read_csv(
        $path, columns = {columns}, delim = $delimiter, nullstr = $nulls, skip = $skip,
        auto_detect = false, header = false, quote = '"', escape = '"', new_line = '\\n', compression = 'none',
        max_line_size = $longest_row, parallel = false,
        store_rejects = true, rejects_table = 'rejects', rejects_scan = 'reject_scans', rejects_limit = $most_rejects
    )
"""


def read_records(engine: Engine, path: Path, dialect: Dialect, null_values: Sequence[str], watch: Watch) -> int:
    """Read all rows of the text at ``path`` into ``records``, and return their number.

    Raises:
        BrokenTable: rows are broken; the message has the line and the problem of the first, and their number.
    """
    for text in null_values:
        if dialect.delimiter in text:
            raise BrokenTable(
                f"The null value {text!r} holds the delimiter {dialect.delimiter!r}, so no cell is it: leave it out."
            )
    # DuckDB silently drops a last row with an open quote (2.0.0). Hence a last row of ours, which must arrive.
    end = uuid4().hex
    with path.open("a", encoding="utf-8") as file:
        file.write(end + dialect.delimiter * (len(dialect.names) - 1) + "\n")
    columns = ", ".join(f"c{index}: 'VARCHAR'" for index in range(len(dialect.names)))
    engine.query(
        _READ.replace("{columns}", "{" + columns + "}"),
        {
            "path": str(path),
            "delimiter": dialect.delimiter,
            "nulls": ["", *null_values],
            "skip": dialect.skip,
            "longest_row": _LONGEST_ROW,
            "most_rejects": _MOST_REJECTS,
        },
        watch=watch,
    )
    finishing = part(watch, 1.0, 1.0)
    rejects = engine.query(_REJECTS, watch=finishing)
    if rejects:
        raise _broken(rejects, path, len(dialect.names))
    if engine.query("DELETE FROM records WHERE c0 = $end", {"end": end}, watch=finishing) != [(1,)]:
        raise BrokenTable(f"Line {_line_of_last_row(path, dialect.delimiter, finishing)} {_OPEN_QUOTE}.")
    return int(engine.query("SELECT count(*) FROM records", watch=finishing)[0][0])


# One row of the file can be rejected for several reasons; the one of the lowest rank explains the others.
_REJECTS: Final = """
    SELECT line_byte_position AS position,
           arg_min(reason, rank) AS reason,
           min(column_idx) AS fewest,
           max(column_idx) AS most
    FROM (
        SELECT *, error_type::VARCHAR AS reason, CASE
            WHEN reason LIKE '%SIZE OVER MAXIMUM' THEN 1 WHEN reason = 'UNQUOTED VALUE' THEN 2 ELSE 3 END AS rank
        FROM rejects
    )
    GROUP BY position ORDER BY position
"""


_OPEN_QUOTE: Final = (
    "has a quote that is not closed, or text after a closing quote (inside quotes, a quote is written twice)"
)


def _broken(rejects: Sequence[tuple[Any, ...]], path: Path, width: int) -> BrokenTable:
    position, reason, fewest, most = rejects[0]
    if reason.endswith("SIZE OVER MAXIMUM"):
        problem = f"is longer than {_LONGEST_ROW:,} bytes: a quote may be opened in it and never closed"
    elif reason == "UNQUOTED VALUE":
        problem = _OPEN_QUOTE
    elif reason == "MISSING COLUMNS":
        problem = f"has {_values(fewest)}, but the first row has {width}"
    elif reason == "TOO MANY COLUMNS":
        problem = f"has {_values(most)}, but the first row has {width}"
    else:
        problem = f"cannot be read ({reason.lower()})"
    more = len(rejects) - 1
    count = f"{more:,} or more" if len(rejects) >= _MOST_REJECTS else f"{more:,} more"
    also = f" {count} {'row is' if more == 1 else 'rows are'} broken, too." if more else ""
    return BrokenTable(f"Line {_line_at(path, position)} {problem}.{also}")


def _values(count: int) -> str:
    return "1 value" if count == 1 else f"{count:,} values"


def _line_at(path: Path, position: int) -> int:
    """Return the line, from 1, of the first row at or after a byte, counted from 1."""
    before, line = position - 1, 1
    with path.open("rb") as file:
        while block := file.read(min(before, 1024 * 1024)):
            line += block.count(b"\n")
            before -= len(block)
        while file.read(1) == b"\n":  # blank lines
            line += 1
    return line


def _line_of_last_row(path: Path, delimiter: str, watch: Watch) -> int:
    """Return the line, from 1, in which the last row begins."""
    line = 1
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, skipinitialspace=delimiter != " ")
        following = 1
        try:
            for number, _row in enumerate(reader):
                line, following = following, reader.line_num + 1
                if number % 10_000 == 0:
                    watch(1.0)
        except csv.Error:  # a value longer than the csv module takes
            return following
    return line


def count_duplicates(engine: Engine, width: int, watch: Watch) -> int:
    """Return the number of rows that equal an earlier row in all of their ``width`` columns.

    Exact, without holding the rows in memory: a row whose 64-bit hash occurs once has no duplicate; the others, usually
    few, are compared in full.
    """
    columns = ", ".join(f"c{index}" for index in range(width))
    engine.query(
        f"CREATE TABLE suspects AS SELECT hash({columns}) AS hash FROM records GROUP BY ALL HAVING count(*) > 1",
        watch=part(watch, 0.0, 0.85),
    )
    rows = engine.query(
        "SELECT coalesce(sum(count - 1), 0) FROM (SELECT count(*) AS count FROM records "
        f"WHERE hash({columns}) IN (FROM suspects) GROUP BY {columns})",
        watch=part(watch, 0.85, 1.0),
    )
    return int(rows[0][0])
