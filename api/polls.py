"""Reads of jobs by id: all that are asked for at the same time are one statement."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import RowMapping

from api.auth import Caller
from api.bounded import outcome
from db.batching import Batcher
from db.engine import Database
from db.errors import NotFound
from db.queries import get_jobs


class Polls:
    """Reads jobs for this process."""

    def __init__(self, database: Database, *, retry_for: float, patience: float) -> None:
        """
        Args:
            database: where from.
            retry_for: seconds for which a batch is tried again while the database is away.
            patience: seconds after which a caller gives up.
        """
        self._database = database
        self._patience = patience
        self._batcher = Batcher("poll", self._read, patience=retry_for)

    async def job(self, job_id: UUID, caller: Caller) -> RowMapping:
        """Return the job (``db.views``) as it is now.

        Raises:
            NotFound: there is none, or the caller may not see it.
            Unavailable: the database did not answer.
        """
        row = await outcome(self._batcher.submit(job_id), patience=self._patience)
        if row is None or not caller.sees(row["owner"]):
            raise no_such_job(job_id)
        return row

    def close(self) -> None:
        """Answer what is pending, and take no more."""
        self._batcher.close()

    def _read(self, job_ids: Sequence[UUID]) -> Sequence[RowMapping | None]:
        with self._database.begin() as connection:
            found = get_jobs(connection, list(dict.fromkeys(job_ids)))
        return [found.get(job_id) for job_id in job_ids]


def no_such_job(job_id: object) -> NotFound:
    """Return the error that hides whether a job is missing or somebody else's."""
    return NotFound(f"There is no job {job_id}.")
