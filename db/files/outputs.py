"""Outputs: files that attempts attach to their jobs.

They are files like uploaded ones, of the job's owner. A job shows the outputs of its latest attempt, unless that
attempt's worker was lost: the next attempt makes them again. The outputs of an earlier attempt are removed when a later
attempt attaches a file, or with the job.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, Integer, RowMapping, Uuid, bindparam, delete, insert, or_, select, union_all

from callboard.db.files.rows import File, insert_file
from callboard.db.models import TIME, files, job_files, job_history, jobs
from callboard.db.rules.ids import created_at_of
from callboard.db.rules.states import Reason, Status
from callboard.db.sql.rowset import rowset, rowset_of

_JOB_ID = bindparam("job_id", type_=Uuid)
_ATTEMPT = bindparam("attempt", type_=Integer)

# With this lock, the end of the attempt waits for this transaction; without a row, it has ended already.
_lock_attempt = (
    select(jobs.c.id)
    .where(jobs.c.id == _JOB_ID, jobs.c.attempt == _ATTEMPT, jobs.c.status == Status.RUNNING)
    .with_for_update(read=True)
)
_superseded = (
    delete(files)
    .where(
        files.c.id.in_(select(job_files.c.file_id).where(job_files.c.job_id == _JOB_ID, job_files.c.attempt < _ATTEMPT))
    )
    .returning(files.c.id)
)


def attach(connection: Connection, file: File, *, job_id: UUID, attempt: int) -> Sequence[UUID] | None:
    """Store the row of a file whose bytes are stored, as an output of this attempt.

    Returns:
        The outputs of earlier attempts, whose rows are deleted: their bytes are to be deleted after the commit. None,
        with nothing stored, when the attempt has ended or been fenced out.
    """
    named = {"job_id": job_id, "attempt": attempt}
    if connection.execute(_lock_attempt, named).first() is None:
        return None
    insert_file(connection, file)
    connection.execute(insert(job_files).values(file_id=file.id, **named))
    return connection.execute(_superseded, named).scalars().all()


_live = select(jobs.c.attempt, jobs.c.status, jobs.c.error).where(jobs.c.id == _JOB_ID)
_finished = select(job_history.c.attempt, job_history.c.status, job_history.c.error).where(
    job_history.c.id == _JOB_ID,
    job_history.c.created_at == bindparam("created_at", type_=TIME),
    job_history.c.deleted.is_(False),
)
_job = union_all(_live, _finished).subquery("job")
_reason = _job.c.error["reason"].astext
_error_attempt = _job.c.error["attempt"].astext.cast(Integer)
_outputs = (
    select(files.c.id, files.c.name, files.c.size, files.c.sha256, files.c.media_type, files.c.created_at)
    .add_columns(job_files.c.attempt)
    .select_from(
        _job.join(job_files, job_files.c.attempt == _job.c.attempt).join(files, files.c.id == job_files.c.file_id)
    )
    .where(
        job_files.c.job_id == _JOB_ID,
        job_files.c.file_id > bindparam("after", type_=Uuid),
        or_(_reason.is_(None), _reason != Reason.WORKER_LOST, _error_attempt != _job.c.attempt),
    )
    .order_by(job_files.c.file_id)
    .limit(bindparam("limit", type_=Integer))
)


def list_outputs(connection: Connection, job_id: UUID, *, limit: int, after: UUID | None = None) -> list[RowMapping]:
    """Return up to ``limit`` outputs of a job that come after the id ``after``, in the order of attachment.

    Columns: those of ``files`` without ``owner``, and ``attempt``.
    """
    parameters = {"job_id": job_id, "created_at": created_at_of(job_id), "after": after or UUID(int=0), "limit": limit}
    return list(connection.execute(_outputs, parameters).mappings())


_ids = rowset(id=Uuid())
_of_jobs = (
    delete(files)
    .where(files.c.id.in_(select(job_files.c.file_id).join(_ids, _ids.c.id == job_files.c.job_id)))
    .returning(files.c.id)
)


def delete_outputs(connection: Connection, job_ids: Sequence[UUID]) -> Sequence[UUID]:
    """Delete the rows of all outputs of these jobs; return the ids, whose bytes are to be deleted after the commit."""
    return connection.execute(_of_jobs, rowset_of({"id": job_id} for job_id in job_ids)).scalars().all()
