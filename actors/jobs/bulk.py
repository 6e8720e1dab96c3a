"""The job type ``callboard.bulk``: one action on all jobs that match a filter. ``POST /v1/jobs/bulk`` submits it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel

from callboard.actors.execution.handler_run import HandlerRun
from callboard.actors.execution.worker_services import WorkerServices
from callboard.actors.types.registry import job
from callboard.actors.types.run import Run
from callboard.db.bulk import (
    JOB_TYPE,
    MAX_RETRIES,
    PRIORITY,
    TIME_LIMIT,
    Action,
    BulkAction,
    BulkOrder,
    apply_batch,
    begin,
    find_batch,
)
from callboard.db.files.rows import delete_bytes
from callboard.db.rules.new_job import SERVICE_QUEUE
from callboard.db.sql.notify import notify_dispatcher

_BATCH: Final = 500


class BulkResult(BaseModel):
    """Number of jobs. ``skipped``: those that were not changed, by reason."""

    action: Action
    matched: int
    changed: int
    skipped: Mapping[str, int]


@job(
    JOB_TYPE,
    queue=SERVICE_QUEUE,
    priority=PRIORITY,
    max_retries=MAX_RETRIES,
    min_backoff=1,
    max_backoff=60,
    time_limit=TIME_LIMIT,
    internal=True,
    operators_only=True,
)
def act_on_jobs(payload: BulkOrder, run: Run) -> BulkResult:
    """Cancel, queue again or delete all jobs that a filter chooses and that are older than this one."""
    services = run.services if isinstance(run, HandlerRun) else None
    if not isinstance(services, WorkerServices):
        raise TypeError(f"{JOB_TYPE} runs in a worker, where it has a database.")
    return act(payload, run, services, batch=_BATCH)


def act(payload: BulkOrder, run: Run, services: WorkerServices, *, batch: int) -> BulkResult:
    """Do the work of :func:`act_on_jobs`, ``batch`` jobs in one transaction."""
    bulk = BulkAction(run.job_id, payload.action, payload.filter, payload.actor)
    with services.database.begin() as connection:
        position = begin(connection, bulk)
    while True:
        done = position.counts.matched
        run.progress(done, position.total, f"{done:,} jobs, {position.counts.changed:,} changed", step=bulk.action)
        with services.database.begin() as connection:
            matches = find_batch(connection, bulk, position, size=batch)
        if not matches:
            break
        with services.database.begin() as connection:
            applied = apply_batch(connection, bulk, matches, position, attempt=run.attempt)
        if applied is None:
            services.stop_fenced_out()
        position, files = applied
        delete_bytes(services.storage, files)
        if bulk.action is Action.RETRY:
            notify_dispatcher(services.database)
    counts = position.counts
    run.progress(counts.matched, counts.matched)
    return BulkResult(action=bulk.action, matched=counts.matched, changed=counts.changed, skipped=dict(counts.skipped))
