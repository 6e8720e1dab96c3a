"""Reads of jobs by id, batched: the reads of all concurrent requests are one statement."""

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
    """Reads the jobs that requests of this process ask for."""

    def __init__(self, database: Database, *, retry_for: float, timeout: float) -> None:
        """
        Args:
            database: keeps one connection for these reads.
            retry_for: seconds for which a batch is repeated while the database is away.
            timeout: seconds after which :meth:`job` raises ``Unavailable``.
        """
        self._connection = database.pinned()
        reads = Batcher("poll", self._read, retry_for=retry_for, at_end=self._connection.close)
        self._batches = AsyncBatcher(reads, timeout=timeout)

    async def job(self, job_id: UUID, caller: Caller) -> JobView:
        """Return the job (``callboard.db.models.job_view``) as it is now.

        Raises:
            NotFound: the job does not exist, or the caller may not see it.
            Unavailable: the database did not answer.
        """
        row = await self._batches.result(job_id)
        if row is None or not caller.sees(row["owner"]):
            raise no_such_job(job_id)
        return row

    def close(self) -> None:
        """Finish the pending reads, and accept no more. Blocks."""
        self._batches.close()

    def _read(self, job_ids: Sequence[UUID]) -> Sequence[JobView | None]:
        with self._connection.use() as connection:
            rows = get_jobs(connection, list(dict.fromkeys(job_ids)))
        return [rows.get(job_id) for job_id in job_ids]


def no_such_job(job_id: object) -> NotFound:
    """404 for a job that does not exist or belongs to another owner."""
    return NotFound(f"There is no job {job_id}.")
