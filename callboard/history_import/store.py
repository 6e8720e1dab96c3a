"""Stores imported jobs, some thousands per transaction."""

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
"""Its line in the file, from 1, and its values by column."""

#: Jobs per transaction: many enough to make commits cheap, few enough for memory.
_BATCH: Final = 10_000
_MOST_SHOWN: Final = 20
_HOUR: Final = timedelta(hours=1)


@dataclass(slots=True)
class Imported:
    """Counts of an import."""

    rows: int = 0
    stored: int = 0
    """New jobs."""
    known: int = 0
    """Jobs that were there already."""
    skipped: int = 0
    """Rows that were skipped because of their status."""


def check_rows(mapping: Mapping, rows: Iterable[Row]) -> tuple[Imported, list[str]]:
    """Read all rows and store nothing; return the counts, with as many stored as possible, and the problems."""
    counts, problems = Imported(), []
    for batch in _batches(rows):
        good, bad = _read(mapping, batch, counts)
        counts.stored += len(good)
        problems += bad
    return counts, problems


def import_rows(database: Database, mapping: Mapping, rows: Iterable[Row]) -> Imported:
    """Store the jobs that the database does not have yet, and have the rollups count their hours.

    Batches before an error stay stored. An import can be repeated: no job is stored twice, not even one that was queued
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


def _read(mapping: Mapping, batch: list[Row], counts: Imported) -> tuple[list[dict[str, Any]], list[str]]:
    jobs, problems = [], []
    for line, row in batch:
        counts.rows += 1
        try:
            values = mapping.values(row)
        except InvalidRow as error:
            problems.append(f"Line {line:,}: {error}.")
            continue
        if values is None:
            counts.skipped += 1
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
    while batch := list(islice(remaining, _BATCH)):
        yield batch
