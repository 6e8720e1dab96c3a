"""``/v1/jobs/{job_id}``: show, wait, attempts, cancel, retry."""

from __future__ import annotations

from contextlib import nullcontext

import structlog
from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection

from callboard.api.auth.caller import AsCaller, Caller, current_caller
from callboard.api.jobs import log_fields
from callboard.api.jobs.permissions import require_action
from callboard.api.jobs.response import job_response
from callboard.api.jobs.waiting import wait_until_changed, wait_until_done
from callboard.api.openapi import operations
from callboard.api.services import Services, services_of
from callboard.api.wire import parameters
from callboard.api.wire.audit_actor import actor_of
from callboard.api.wire.etags import entity_tag, matches
from callboard.api.wire.parameters import JobId, parse_job_id
from callboard.api.wire.paths import JOB
from callboard.api.wire.rendering import attempt, json_text, page, respond
from callboard.db import transitions
from callboard.db.access.audit import write_audit
from callboard.db.errors import Conflict
from callboard.db.models.job_view import JobView
from callboard.db.reads.jobs import get_payload, list_attempts
from callboard.db.rules.states import TERMINAL, Status

_log = structlog.get_logger(__name__)

router = APIRouter(tags=["jobs"])


@router.get(JOB, operation_id="getJob", **operations.GET_JOB)
async def get_job(request: Request) -> Response:
    """Return a job.

    `wait=N` answers when it is done, or, with `If-None-Match`, when it has changed, or after N seconds with the
    present state.
    """
    services = services_of(request)
    caller = await current_caller(request)
    job_id = parse_job_id(request.path_params["job_id"])
    wait, with_payload = None, False
    if request.scope["query_string"]:
        wait = parameters.seconds(request, "wait", most=services.settings.max_wait)
        with_payload = parameters.includes_payload(request)
    row = await services.reads.job(job_id, caller)
    seen = request.headers.get("if-none-match")
    tag = entity_tag(row["revision"], row["status"])
    if wait and row["status"] not in TERMINAL and (seen is None or matches(seen, tag)):
        if seen is None:
            row = await wait_until_done(services, job_id, seconds=wait, request=request)
        else:
            row = await wait_until_changed(services, job_id, seen=seen, seconds=wait, request=request)
        tag = entity_tag(row["revision"], row["status"])
    if seen is not None and matches(seen, tag):
        return Response(status_code=304, headers={"ETag": tag})
    more = None
    if with_payload:
        more = {"payload": json_text(await _payload(request, services, caller, row))}
    return await job_response(services, row, more=more)


async def _payload(request: Request, services: Services, caller: Caller, row: JobView) -> str | None:
    """Return the payload as JSON. That somebody has read another owner's is recorded."""

    def read(connection: Connection) -> str | None:
        if row["owner"] != caller.owner:
            write_audit(connection, actor_of(request, caller), "job.read_payload", job_id=row["id"])
        return get_payload(connection, row["id"])

    return await services.threads.run(read)


@router.get("/v1/jobs/{job_id}/attempts", operation_id="listAttempts", **operations.LIST_ATTEMPTS)
async def attempts_of_job(request: Request, job_id: JobId, caller: AsCaller) -> Response:
    """Return the attempts that have ended, oldest first. Operators see tracebacks."""
    services = services_of(request)
    await services.reads.job(job_id, caller)
    rows = await services.threads.run(lambda connection: list_attempts(connection, job_id))
    return respond(page([attempt(row, traceback=caller.is_operator) for row in rows]))


@router.post("/v1/jobs/{job_id}/cancel", operation_id="cancelJob", **operations.CANCEL_JOB)
async def cancel_job(request: Request, job_id: JobId, caller: AsCaller) -> Response:
    """Cancel a job: one that waits is cancelled in the answer, one that runs is asked to stop. Asking twice is fine."""
    services = services_of(request)
    before = await services.reads.job(job_id, caller)
    require_action(services, caller, before)

    def change(connection: Connection) -> bool:
        was_live = transitions.cancel(connection, job_id)
        if was_live:
            write_audit(connection, actor_of(request, caller), "job.cancel", job_id=job_id)
        return was_live

    was_live = await services.threads.run(change)
    row = await services.reads.job(job_id, caller)
    if was_live:
        fields = log_fields.of_row(row) | log_fields.of_caller(request, caller)
        # One that ran may have ended meanwhile: that is its worker's to log and to count.
        if row["status"] == Status.CANCELLED and before["status"] != Status.RUNNING:
            services.metrics.finished(row)
            _log.info("job_cancelled", **fields)
        else:
            _log.info("job_cancel_requested", **fields)
    if row["status"] in TERMINAL and row["status"] != Status.CANCELLED:
        raise Conflict(f"Job {job_id} is {row['status']}; there is nothing left to cancel.")
    return await job_response(services, row, 202)


@router.post("/v1/jobs/{job_id}/retry", operation_id="retryJob", **operations.RETRY_JOB)
async def retry_job(request: Request, job_id: JobId, caller: AsCaller) -> Response:
    """Queue a job again that failed, was cancelled or expired: same id, its attempts go on counting.

    To its owner this counts as a submission; operators may do it with the jobs of others whatever the limits.
    """
    services = services_of(request)
    row = await services.reads.job(job_id, caller)
    require_action(services, caller, row)

    def change(connection: Connection) -> bool:
        reopened = transitions.reopen(connection, job_id)
        if reopened:
            write_audit(connection, actor_of(request, caller), "job.retry", job_id=job_id)
        return reopened

    within_limits = services.limits.submission(caller, 1) if row["owner"] == caller.owner else nullcontext()
    async with within_limits:
        reopened = await services.threads.run(change)
    row = await services.reads.job(job_id, caller)
    if not reopened:
        raise Conflict(
            f"Job {job_id} is {row['status']} and cannot be queued again; only failed, cancelled and expired jobs can, "
            "as long as their payload is kept."
        )
    services.submissions.wake_dispatcher()
    _log.info("job_retried", **log_fields.of_row(row), **log_fields.of_caller(request, caller))
    return await job_response(services, row, 202)
