"""``POST /v1/run/{type}``: a job as if it were a function call. The payload goes in, the result comes out."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api import documents
from api.auth import current_caller
from api.bodies import json_body, parse
from api.job_types import known_type
from api.prefer import Preference
from api.results import result_of
from api.schemas import Payload, SubmitJob
from api.services import services_of
from api.submit import accepted, idempotency_key, preference_of, submit_and_wait
from db.errors import FieldError, InvalidInput
from db.states import TERMINAL

router = APIRouter(tags=["jobs"])


@router.post("/v1/run/{job_type:path}", operation_id="runJob", **documents.RUN_JOB)
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
    body = await json_body(request)
    wanted = SubmitJob(type=known_type(services.registry, job_type).name, payload=parse(Payload, body).root)
    key = idempotency_key(request, services, caller, body)
    try:
        submitted = await submit_and_wait(request, services, caller, wanted, key, seconds=preference.wait)
    except InvalidInput as error:
        raise _about_the_body(error) from None
    if preference.wait == 0 or submitted.row["status"] not in TERMINAL:
        return accepted(submitted, preference, status=202)
    answer = result_of(submitted.row)
    answer.headers.update(submitted.headers(preference))
    return answer


def _about_the_body(error: InvalidInput) -> InvalidInput:
    """Return the error with pointers into the payload, which is the whole body here."""
    shown = [FieldError(item.detail, item.pointer.removeprefix("/payload")) for item in error.errors]
    return type(error)(str(error), shown)
