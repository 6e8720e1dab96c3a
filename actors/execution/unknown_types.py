"""Jobs whose type this worker does not know, as while a deployment is under way: they wait for a worker that does."""

from __future__ import annotations

from uuid import UUID

import structlog

from callboard.actors.metrics import JOBS_FINISHED
from callboard.db.errors import Unavailable
from callboard.db.rules.attempts import AttemptId
from callboard.db.rules.states import Status
from callboard.db.sql.engine import Database
from callboard.db.sql.notify import notify_dispatcher
from callboard.db.transitions import await_worker

_log = structlog.get_logger(__name__)


class UnknownTypes:
    """Takes the messages of jobs for which this worker has no handler."""

    def __init__(self, database: Database, *, grace: float) -> None:
        """``grace``: seconds that a job waits for a worker that knows its type before it fails."""
        self._database = database
        self._grace = grace

    def set_aside(self, job_id: str, attempt: int) -> None:
        """Have the job of a message wait for another worker, without an attempt; fail it once its time is over.

        While the database is away the message is dropped all the same: reconciling dispatches the job again.
        """
        try:
            with self._database.autocommit() as connection:
                met = await_worker(connection, [AttemptId(UUID(job_id), attempt)], grace=self._grace)
        except Unavailable as error:
            _log.warning("message_dropped", job_id=job_id, attempt=attempt, reason=str(error))
            return
        for job in met:
            fields = {"job_id": job_id, "job_type": job.type, "queue": job.queue, "tries": job.tries}
            if job.failed:
                JOBS_FINISHED.labels(job.type, job.queue, Status.FAILED).inc()
                _log.error("job_type_unknown_too_long", grace=self._grace, **fields)
            elif job.tries == 1:
                _log.warning(
                    "job_type_unknown", **fields,
                    hint="It waits for a worker that knows it. Do the workers' CALLBOARD_JOB_MODULES name its module?",
                )  # fmt: skip
            else:
                _log.debug("job_type_still_unknown", **fields)
        # The next try may be due before all that the dispatcher knows of.
        notify_dispatcher(self._database)
