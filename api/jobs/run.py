"""``POST /v1/run/{type}``: a job as a function call. The request is its payload, the response its result."""

from __future__ import annotations

import structlog
from fastapi import APIRouter, Request, Response

from callboard.api.auth.caller import current_caller
from callboard.api.jobs import log_fields
from callboard.api.jobs.results import result_response
from callboard.api.jobs.submit import accepted, idempotency_key, preference_of, submit_and_wait
from callboard.api.openapi import operations
from callboard.api.services import services_of
from callboard.api.system.job_types import known_type
from callboard.api.wire.bodies import json_body, largest_job, parse
from callboard.api.wire.prefer import Preference
from callboard.api.wire.requests import Payload, SubmitJob
from callboard.db.errors import FieldError, InvalidInput
from callboard.db.rules.states import TERMINAL

_log = structlog.get_logger(__name__)

router = APIRouter(tags=["jobs"])


@router.post("/v1/run/{job_type:path}", operation_id="runJob", **operations.RUN_JOB)
async def run_job(request: Request, job_type: str) -> Response:
    """Submit a job whose payload is the body, and wait for its result.

    `200` with the result alone; `202` with the job if it takes longer than `Prefer: wait=N` (default: as long as the
    server allows) or with `Prefer: respond-async`. The job is stored durably before the wait begins, and goes on
    after it.
    """
    services = services_of(request)
    caller = await current_caller(request)
    preference = preference_of(request, services)
    if preference.applied is None:
        preference = Preference(services.settings.max_wait)
    name = known_type(services.registry, job_type).name
    body = await json_body(request, most=largest_job(services.settings))
    key = await idempotency_key(request, services, caller, body)
    try:
        submitted = await submit_and_wait(
            request,
            services,
            caller,
            lambda: SubmitJob(type=name, payload=parse(Payload, body).root),
            key,
            size=len(body),
            seconds=preference.wait,
        )
    except InvalidInput as error:
        raise _with_pointers_into_the_body(error) from None
    if preference.wait == 0 or submitted.row["status"] not in TERMINAL:
        return await accepted(services, submitted, preference, status=202)
    response = result_response(submitted.row)
    _log.info("result_fetched", **log_fields.of_row(submitted.row), **log_fields.of_caller(request, caller))
    response.headers.update(submitted.headers(preference))
    return response


def _with_pointers_into_the_body(error: InvalidInput) -> InvalidInput:
    """Return the error with pointers into the payload, which is the whole body here."""
    errors = [FieldError(item.detail, item.pointer.removeprefix("/payload")) for item in error.errors]
    return type(error)(str(error), errors)
