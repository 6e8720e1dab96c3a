"""``POST /v1/jobs/bulk``: one action on many jobs, which runs as a job itself. Operators only."""

from __future__ import annotations

import orjson
import structlog
from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection

from callboard.api.auth.caller import AsCaller
from callboard.api.jobs import log_fields
from callboard.api.jobs.submit import Submitted, accepted, idempotency_key, require_stored
from callboard.api.openapi import operations
from callboard.api.services import services_of
from callboard.api.wire.audit_actor import actor_of
from callboard.api.wire.bodies import json_body, parse
from callboard.api.wire.filters import filter_of
from callboard.api.wire.prefer import Preference
from callboard.api.wire.requests import BulkFilter, BulkJobs
from callboard.db import transitions
from callboard.db.access.audit import write_audit
from callboard.db.bulk import BulkOrder, bulk_job
from callboard.db.dispatching.queues import ensure_queues
from callboard.db.errors import FieldError, InvalidInput
from callboard.db.reads.job_filter import JobFilter
from callboard.db.rules.new_job import SERVICE_QUEUE
from callboard.db.transitions import SubmissionKind, SubmissionResult

_log = structlog.get_logger(__name__)

router = APIRouter(tags=["jobs"])


@router.post("/v1/jobs/bulk", operation_id="bulkJobs", **operations.BULK_JOBS)
async def act_on_jobs(request: Request, caller: AsCaller) -> Response:
    """Cancel, queue again or delete all jobs that a filter chooses, as a job with progress.

    It acts on jobs that were made before it and that the action applies to. Its result counts those that `matched`,
    were `changed`, and were `skipped`, by reason. A filter that names nothing is refused unless `all` is true.
    """
    caller.require_operator()
    services = services_of(request)
    body = await json_body(request)
    key = await idempotency_key(request, services, caller, body)
    bulk = await services.bodies.run(len(body), lambda: parse(BulkJobs, body))
    actor = actor_of(request, caller)
    new = bulk_job(BulkOrder(bulk.action, _filter(bulk), actor), owner=caller.owner)

    def submit(connection: Connection) -> SubmissionResult:
        ensure_queues(connection, [SERVICE_QUEUE])
        submission = transitions.submit(connection, [transitions.SubmissionRequest([new], key)])[0]
        if submission.kind is SubmissionKind.CREATED:
            subject = orjson.dumps(bulk.model_dump(mode="json", exclude_unset=True)).decode()
            write_audit(connection, actor, "jobs.bulk", job_id=new.id, subject=subject)
        return submission

    submission = await services.threads.run(submit)
    require_stored(submission)
    services.submissions.wake_dispatcher()
    job_id = submission.job_ids[0]
    replayed = submission.kind is SubmissionKind.REPLAYED
    if not replayed:
        _log.info("job_submitted", **log_fields.of_new(new), **log_fields.of_caller(request, caller))
    row = await services.reads.job(job_id, caller) if replayed else submission.rows[job_id]
    return await accepted(services, Submitted(row, existing=False, replayed=replayed), Preference(), status=202)


def _filter(bulk: BulkJobs) -> JobFilter:
    given = bulk.filter
    job_filter = filter_of(dict(given), lambda detail: _refused(f"The tag {detail}.", detail, "/filter/tag"))
    _require_intent(bulk, given)
    if beyond := sorted(job_filter.statuses - bulk.action.applies_to):
        raise _refused(
            f"The action {bulk.action} does not apply to jobs that are {beyond[0]}.",
            f"{bulk.action} does not apply to {beyond[0]}",
            "/filter/status",
        )
    return job_filter


def _require_intent(bulk: BulkJobs, given: BulkFilter) -> None:
    is_empty = all(value is None or value == [] for _, value in given)
    if is_empty and not bulk.all:
        raise _refused(
            f'The filter names nothing, so it would {bulk.action} every job. If you mean that, add "all": true.',
            "names nothing",
            "/filter",
        )
    if bulk.all and not is_empty:
        raise _refused("The filter chooses some jobs, but all is true. Leave out one.", "excludes a filter", "/all")


def _refused(message: str, detail: str, pointer: str) -> InvalidInput:
    return InvalidInput(message, [FieldError(detail, pointer)])
