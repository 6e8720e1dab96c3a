"""Fills a database with a generated history."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final, Self

from sqlalchemy import exists, select

from callboard.db.errors import Conflict
from callboard.db.history.rollups import count_anew
from callboard.db.models import job_history, jobs
from callboard.db.schema.partitions import ensure_months
from callboard.db.sql.engine import Database
from callboard.db.transitions import load as load_jobs
from callboard.history_generator.profile import incidents, load_at
from callboard.history_generator.rows import Jobs, Lines

Progress = Callable[[int], None]
"""Called with the number of jobs stored so far."""

#: Jobs per transaction, about: many enough to make commits cheap.
_BATCH: Final = 20_000


def generate_history(
    database: Database, *, job_count: int, days: int, seed: int, add: bool = False, progress: Progress = lambda _: None
) -> int:
    """Store about ``job_count`` finished jobs of the last ``days`` days, with their attempts; return how many.

    Jobs that would not be finished yet are left out. The same seed generates the same jobs on the same day. All of them
    have the tag ``generated``. The rollups count them soon: see ``callboard.db.history.rollups.counting``.

    Args:
        database: with the schema.
        job_count: 1 or more.
        days: 1 or more.
        seed: of the random numbers.
        add: whether the database may have jobs already.
        progress: called after each transaction.

    Raises:
        Conflict: the database has jobs, and ``add`` is not set. Nothing was changed.
    """
    with database.begin() as connection:
        used = connection.execute(select(exists(select(jobs.c.id)) | exists(select(job_history.c.id)))).scalar_one()
    if used and not add:
        raise Conflict(
            "This database has jobs already, and made-up ones would be in all figures. Choose another database, "
            "or say --add."
        )
    random = Random(seed)
    end = datetime.now(UTC)
    first = (end - timedelta(days=days)).replace(minute=0, second=0, microsecond=0)
    hours = [first + timedelta(hours=n) for n in range(days * 24)]
    loads = [load_at(hour) * random.uniform(0.85, 1.15) for hour in hours]
    share = job_count / sum(loads)
    wrong = incidents(hours, random)
    generated = Jobs(random)
    with database.begin() as connection:
        ensure_months(connection, first, end)
    with _Store(database, progress) as store:
        owed = 0.0
        for hour, load in zip(hours, loads, strict=True):
            owed += load * share
            count = int(owed)
            owed -= count
            now = [incident for incident in wrong if incident.first <= hour <= incident.last]
            store.add(generated.of_hour(hour, count, now, load=min(load, 1.0), now=end.timestamp()))
    with database.begin() as connection:
        count_anew(connection, first, end)
    return store.stored


class _Store:
    """Stores lines while the next ones are generated. Leaving it stores the rest."""

    def __init__(self, database: Database, progress: Progress) -> None:
        self.stored = 0
        self._database = database
        self._progress = progress
        self._lines: list[Lines] = []
        self._thread = ThreadPoolExecutor(1)
        self._storing: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._thread:
            if kind is None:
                self._store()
                self._wait()

    def add(self, lines: Lines) -> None:
        self._lines.append(lines)
        if sum(part.jobs for part in self._lines) >= _BATCH:
            self._store()

    def _store(self) -> None:
        self._wait()
        lines, self._lines = self._lines, []
        self._storing = self._thread.submit(self._copy, lines)

    def _wait(self) -> None:
        if self._storing is not None:
            self._storing.result()

    def _copy(self, lines: list[Lines]) -> None:
        with self._database.begin() as connection:
            load_jobs(connection, b"".join(part.history for part in lines), b"".join(part.attempts for part in lines))
        self.stored += sum(part.jobs for part in lines)
        self._progress(self.stored)
