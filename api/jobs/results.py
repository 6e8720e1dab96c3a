"""``GET /v1/jobs/{job_id}/result``: the result of a job, alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import Connection
from starlette.responses import StreamingResponse

from callboard.api.auth.caller import AsCaller
from callboard.api.errors import NotDone, ResultErased, Unsuccessful
from callboard.api.jobs import log_fields
from callboard.api.jobs.permissions import require_action
from callboard.api.openapi import operations
from callboard.api.services import Services, services_of
from callboard.api.wire.audit_actor import actor_of
from callboard.api.wire.parameters import JobId
from callboard.api.wire.rendering import JsonResponse
from callboard.db.access.audit import Actor, write_audit
from callboard.db.errors import CallboardError
from callboard.db.models.job_view import JobView
from callboard.db.rules.states import TERMINAL, Status
from callboard.db.transitions import consume as erase_result

_log = structlog.get_logger(__name__)

router = APIRouter(tags=["jobs"])

Consume = Annotated[bool, Query(description="Erase payload and result once they have been sent; the job stays.")]


@router.get("/v1/jobs/{job_id}/result", operation_id="getResult", **operations.GET_RESULT)
async def get_result(request: Request, job_id: JobId, caller: AsCaller, consume: Consume = False) -> Response:
    """Return the result alone, once the job has succeeded.

    With `consume=true` payload and result are erased once they have been sent, unless the client is gone by then; when
    the answer ends, they are. Of two such requests at the same time both may get the result.
    """
    services = services_of(request)
    row = await services.reads.job(job_id, caller)
    response = result_response(row)
    fields = log_fields.of_row(row) | log_fields.of_caller(request, caller)
    if consume:
        require_action(services, caller, row)
        consumed = _send_and_erase(bytes(response.body), services, actor_of(request, caller), job_id, fields)
        return StreamingResponse(consumed, media_type="application/json")
    _log.info("result_fetched", **fields)
    return response


def result_response(row: JobView) -> Response:
    """Return the response whose body is the result of a job (``callboard.db.models.job_view``).

    Raises:
        NotDone: the job has not ended.
        Unsuccessful: it failed, was cancelled or expired.
        ResultErased: it succeeded, and its result has been erased since.
    """
    status = row["status"]
    if status not in TERMINAL:
        raise NotDone(f"Job {row['id']} is {status}.")
    if status != Status.SUCCEEDED:
        raise Unsuccessful(f"Job {row['id']} is {status}.", row["error"])
    if row["result"] is None:
        # NULL in the row, not JSON: a handler that returns None has the result null.
        raise ResultErased(f"Job {row['id']} succeeded; its result has been erased since.")
    return JsonResponse(row["result"].encode())


async def _send_and_erase(
    content: bytes, services: Services, actor: Actor, job_id: UUID, fields: Mapping[str, Any]
) -> AsyncIterator[bytes]:
    """Yield the result, and erase it before the response ends: to the client, its end means that it is erased."""
    yield content
    _log.info("result_fetched", **fields)

    def change(connection: Connection) -> bool:
        erased = erase_result(connection, job_id)
        if erased:
            write_audit(connection, actor, "job.consume", job_id=job_id)
        return erased

    try:
        if await services.threads.run(change):
            _log.info("result_consumed", **fields)
    except CallboardError as error:
        # The client has its result. A retention rule may erase it later.
        _log.warning("consumed_result_not_erased", job_id=str(job_id), reason=str(error))
