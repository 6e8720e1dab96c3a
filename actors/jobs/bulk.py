"""The job type ``callboard.bulk``: one action on all jobs that a filter chooses. ``POST /v1/jobs/bulk`` submits it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel

from callboard.actors.execution.attempt_run import AttemptRun
from callboard.actors.types.registry import job
from callboard.actors.types.run import Run
from callboard.db.bulk import (
    JOB_TYPE,
    MAX_RETRIES,
    PRIORITY,
    QUEUE,
    TIME_LIMIT,
    Action,
    BulkAction,
    BulkOrder,
    apply_batch,
    begin,
    find_batch,
)
from callboard.db.files.rows import delete_bytes
from callboard.db.sql.notify import notify_dispatcher

_BATCH: Final = 500


class BulkResult(BaseModel):
    """What was done. ``skipped``: jobs that were left as they were, by reason."""

    action: Action
    matched: int
    changed: int
    skipped: Mapping[str, int]


@job(
    JOB_TYPE,
    queue=QUEUE,
    priority=PRIORITY,
    max_retries=MAX_RETRIES,
    min_backoff=1,
    max_backoff=60,
    time_limit=TIME_LIMIT,
    internal=True,
)
def act_on_jobs(payload: BulkOrder, run: Run) -> BulkResult:
    """Cancel, queue again or delete all jobs that a filter chooses and that are older than this one."""
    if not isinstance(run, AttemptRun):
        raise TypeError(f"{JOB_TYPE} runs in a worker, where it has a database.")
    return act(payload, run, batch=_BATCH)


def act(payload: BulkOrder, run: AttemptRun, *, batch: int) -> BulkResult:
    """Do the work of :func:`act_on_jobs`, so many jobs in one transaction."""
    bulk = BulkAction(run.job_id, payload.action, payload.filter, payload.actor)
    with run.database.begin() as connection:
        position = begin(connection, bulk)
    while True:
        done = position.counts.matched
        run.progress(done, position.total, f"{done:,} jobs, {position.counts.changed:,} changed", step=bulk.action)
        with run.database.begin() as connection:
            found = find_batch(connection, bulk, position, size=batch)
        if not found:
            break
        with run.database.begin() as connection:
            applied = apply_batch(connection, bulk, found, position, attempt=run.attempt)
        if applied is None:
            run.stop_fenced_out()
        position, files = applied
        delete_bytes(run.storage, files)
        if bulk.action is Action.RETRY:
            notify_dispatcher(run.database)
    counts = position.counts
    run.progress(counts.matched, counts.matched)
    return BulkResult(action=bulk.action, matched=counts.matched, changed=counts.changed, skipped=dict(counts.skipped))
