"""Storing imported jobs, some thousands in a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any, Final

from callboard.db.errors import InvalidInput
from callboard.db.history.rollups import count_anew
from callboard.db.schema.partitions import ensure_months
from callboard.db.sql.engine import Database
from callboard.db.transitions import load_missing
from callboard.history_import.mapping import InvalidRow, Mapping

Row = tuple[int, Dictionary[str, str]]
"""Where it stands in its file (lines from 1), and its values by column."""

#: Jobs of a transaction: large enough that its commit does not count, small enough for memory.
_AT_ONCE: Final = 10_000
_MOST_SHOWN: Final = 20
_HOUR: Final = timedelta(hours=1)


@dataclass(slots=True)
class Imported:
    """What came of an import."""

    rows: int = 0
    stored: int = 0
    """Jobs that are new."""
    known: int = 0
    """Those that were there already."""
    skipped: int = 0
    """Rows that were left out for their status."""


def check_rows(mapping: Mapping, rows: Iterable[Row]) -> tuple[Imported, list[str]]:
    """Read all rows and store nothing; return how many would be stored at most, and what is wrong with the others."""
    found, problems = Imported(), []
    for batch in _batches(rows):
        good, bad = _read(mapping, batch, found)
        found.stored += len(good)
        problems += bad
    return found, problems


def import_rows(database: Database, mapping: Mapping, rows: Iterable[Row]) -> Imported:
    """Store the jobs of these rows that the database does not have yet, and note that their hours are to be counted.

    What was stored before an error stays. Doing all of it again stores nothing twice, also where jobs have been queued
    again since.

    Raises:
        InvalidInput: some rows of a batch cannot be jobs; nothing of this batch was stored.
        Unavailable: the database does not answer, or a table is in long use.
    """
    done = Imported()
    for batch in _batches(rows):
        jobs, problems = _read(mapping, batch, done)
        if problems:
            raise InvalidInput(
                "\n".join(problems[:_MOST_SHOWN])
                + f"\nBefore these rows, {done.stored:,} jobs were imported. Mend the rows or the mapping and run this "
                "again: no job is imported twice. --dry-run shows all that is wrong."
            )
        if jobs:
            stored = _store(database, jobs)
            done.stored += stored
            done.known += len(jobs) - stored
    return done


def _read(mapping: Mapping, batch: list[Row], counted: Imported) -> tuple[list[dict[str, Any]], list[str]]:
    jobs, problems = [], []
    for line, row in batch:
        counted.rows += 1
        try:
            values = mapping.values(row)
        except InvalidRow as error:
            problems.append(f"Line {line:,}: {error}.")
            continue
        if values is None:
            counted.skipped += 1
        else:
            jobs.append(values)
    return jobs, problems


def _store(database: Database, jobs: list[dict[str, Any]]) -> int:
    created = [job["created_at"] for job in jobs]
    with database.begin() as connection:
        ensure_months(connection, min(created), max(created))
        stored = load_missing(connection, sorted(jobs, key=lambda job: job["finished_at"]))
        for hour in {job["finished_at"].replace(minute=0, second=0, microsecond=0) for job in jobs}:
            count_anew(connection, hour, hour + _HOUR - timedelta(microseconds=1))
    return stored


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, _AT_ONCE)):
        yield batch
