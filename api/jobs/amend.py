"""``PATCH`` and ``DELETE /v1/jobs/{job_id}``: changes to a waiting job, erasure of a finished one."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import anyio.to_thread
import structlog
from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection

from callboard.api.auth.caller import AsCaller, Caller
from callboard.api.jobs import log_fields
from callboard.api.jobs.permissions import require_action
from callboard.api.jobs.response import job_response
from callboard.api.openapi import operations
from callboard.api.services import Services, services_of
from callboard.api.wire.audit_actor import actor_of
from callboard.api.wire.bodies import json_body, parse
from callboard.api.wire.etags import entity_tag, matches
from callboard.api.wire.parameters import JobId
from callboard.api.wire.paths import JOB
from callboard.api.wire.requests import AmendJob
from callboard.db.access.audit import write_audit
from callboard.db.errors import Conflict, PreconditionFailed
from callboard.db.files.outputs import delete_outputs
from callboard.db.files.rows import delete_bytes
from callboard.db.models.job_view import JobView
from callboard.db.rules.states import TERMINAL, WAITING
from callboard.db.transitions import Amendment, amend, erase

_log = structlog.get_logger(__name__)

router = APIRouter(tags=["jobs"])


@router.patch(JOB, operation_id="amendJob", **operations.AMEND_JOB)
async def amend_job(request: Request, job_id: JobId, caller: AsCaller) -> Response:
    """Change a job that still waits; what the body does not name stays. With `If-Match`, only if it is as it was."""
    services = services_of(request)
    row = await services.reads.job(job_id, caller)
    require_action(services, caller, row)
    body = await json_body(request)
    wanted = await services.bodies.run(len(body), lambda: parse(AmendJob, body))
    amendment = Amendment(wanted.model_dump(exclude_unset=True))
    condition = request.headers.get("if-match")
    while True:
        _require_waiting(row, condition)
        changed = await _amend(services, request, caller, job_id, amendment, row if condition else None)
        row = await services.reads.job(job_id, caller)
        if changed:
            break
        # Another request changed the job in between: check its new state. A job ends, so this loop does too.
    changes = sorted(amendment.values)
    _log.info("job_amended", changed=changes, **log_fields.of_row(row), **log_fields.of_caller(request, caller))
    if "scheduled_at" in amendment.values or "priority" in amendment.values:
        services.submissions.wake_dispatcher()
    return await job_response(services, row)


def _require_waiting(row: JobView, if_match: str | None) -> None:
    tag = entity_tag(row["revision"], row["status"])
    if if_match is not None and not matches(if_match, tag):
        raise PreconditionFailed(f"Job {row['id']} is now {tag}, which If-Match does not name. Look at it again.")
    if row["status"] not in WAITING:
        raise Conflict(f"Job {row['id']} is {row['status']}; only a job that waits can be changed.")


async def _amend(
    services: Services, request: Request, caller: Caller, job_id: UUID, amendment: Amendment, expected: JobView | None
) -> bool:
    def change(connection: Connection) -> bool:
        changed = amend(connection, job_id, amendment, revision=None if expected is None else expected["revision"])
        if changed:
            write_audit(connection, actor_of(request, caller), "job.amend", job_id=job_id)
        return changed

    return await services.threads.run(change)


@router.delete(JOB, operation_id="deleteJob", **operations.DELETE_JOB)
async def delete_job(request: Request, job_id: JobId, caller: AsCaller) -> Response:
    """Erase payload, result, errors, progress and output files of a job that is done.

    It is gone from lists and polls.
    """
    services = services_of(request)
    row = await services.reads.job(job_id, caller)
    require_action(services, caller, row)
    if row["status"] not in TERMINAL:
        raise Conflict(f"Job {job_id} is {row['status']}; cancel it first, then delete it.")

    def change(connection: Connection) -> Sequence[UUID] | None:
        if not erase(connection, job_id):
            return None
        write_audit(connection, actor_of(request, caller), "job.delete", job_id=job_id)
        return delete_outputs(connection, [job_id])

    outputs = await services.threads.run(change)
    if outputs is None:
        # Another request has deleted the job (then this raises NotFound) or queued it again.
        row = await services.reads.job(job_id, caller)
        raise Conflict(f"Job {job_id} is {row['status']} again; cancel it first, then delete it.")
    _log.info("job_deleted", **log_fields.of_row(row), **log_fields.of_caller(request, caller))
    if outputs:
        await anyio.to_thread.run_sync(delete_bytes, services.storage, outputs)
    return Response(status_code=204)
