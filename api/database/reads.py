"""Reads of jobs by id: all that are asked for at the same time are one statement."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from callboard.api.auth.caller import Caller
from callboard.api.database.async_batcher import AsyncBatcher
from callboard.db.errors import NotFound
from callboard.db.models.job_view import JobView
from callboard.db.reads.jobs import get_jobs
from callboard.db.sql.engine import Database
from callboard.db.sql.group_commit import Batcher


class JobReads:
    """Reads jobs for this process."""

    def __init__(self, database: Database, *, retry_for: float, timeout: float) -> None:
        """
        Args:
            database: where from.
            retry_for: seconds for which a batch is tried again while the database is away.
            timeout: seconds after which a caller gives up.
        """
        self._connection = database.pinned()
        reads = Batcher("poll", self._read, retry_for=retry_for, at_end=self._connection.close)
        self._batches = AsyncBatcher(reads, timeout=timeout)

    async def job(self, job_id: UUID, caller: Caller) -> JobView:
        """Return the job (``callboard.db.models.job_view``) as it is now.

        Raises:
            NotFound: there is none, or the caller may not see it.
            Unavailable: the database did not answer.
        """
        row = await self._batches.result(job_id)
        if row is None or not caller.sees(row["owner"]):
            raise no_such_job(job_id)
        return row

    def close(self) -> None:
        """Answer what is pending, and take no more."""
        self._batches.close()

    def _read(self, job_ids: Sequence[UUID]) -> Sequence[JobView | None]:
        with self._connection.use() as connection:
            found = get_jobs(connection, list(dict.fromkeys(job_ids)))
        return [found.get(job_id) for job_id in job_ids]


def no_such_job(job_id: object) -> NotFound:
    """Return the error that hides whether a job is missing or somebody else's."""
    return NotFound(f"There is no job {job_id}.")
