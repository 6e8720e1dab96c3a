"""``POST /v1/jobs`` and ``/v1/jobs/batch``. The response is sent when the jobs are durable."""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Request, Response

from callboard.api.auth.caller import Caller, current_caller
from callboard.api.errors import IdempotencyKeyInFlight, IdempotencyKeyReused, QuotaExceeded
from callboard.api.jobs.response import job_response
from callboard.api.jobs.submission_rules import names_others, new_job, new_jobs, require_references
from callboard.api.jobs.waiting import wait_until_done
from callboard.api.openapi import operations
from callboard.api.services import Services, services_of
from callboard.api.wire import parameters
from callboard.api.wire.bodies import json_body, parse
from callboard.api.wire.pointers import pointer
from callboard.api.wire.prefer import Preference
from callboard.api.wire.rendering import respond
from callboard.api.wire.requests import SubmitBatch, SubmitJob
from callboard.db import transitions
from callboard.db.errors import FieldError, InvalidInput
from callboard.db.models.job_view import JobView
from callboard.db.rules.states import TERMINAL
from callboard.db.transitions import IdempotencyKey, NewJob, SubmissionKind, SubmissionResult

router = APIRouter(tags=["jobs"])

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


@router.post("/v1/jobs", operation_id="submitJob", **operations.SUBMIT_JOB)
async def submit_job(request: Request) -> Response:
    """Submit a job.

    `202` with the job, which is stored durably by then; `200` if it is done already, or if a live job of the same
    `unique_key` was there. `Prefer: wait=N` waits up to N seconds for it to be done.
    """
    services = services_of(request)
    caller = await current_caller(request)
    preference = preference_of(request, services)
    body = await json_body(request)
    key = idempotency_key(request, services, caller, body)
    submission = parse(SubmitJob, body)
    submitted = await submit_and_wait(request, services, caller, submission, key, seconds=preference.wait)
    done = submitted.row["status"] in TERMINAL
    return await accepted(services, submitted, preference, status=200 if done or submitted.existing else 202)


@dataclass(frozen=True, slots=True)
class Submitted:
    """A submitted job, which is stored durably and may be done."""

    row: JobView
    """The job as it is now."""
    existing: bool
    """The job was there before: a live one with the same unique key."""
    replayed: bool
    """The job was made by an earlier request with the same Idempotency-Key."""

    def headers(self, preference: Preference) -> dict[str, str]:
        """Return the response's headers about the submission, whether its body is the job or the result."""
        done = self.row["status"] in TERMINAL
        headers = {"Location": f"/v1/jobs/{self.row['id']}"}
        if not done:
            headers["Retry-After"] = "1"
        if self.replayed:
            headers["Idempotency-Replayed"] = "true"
        if preference.applied is not None:
            headers["Preference-Applied"] = (
                preference.applied if done or not preference.wait else f"respond-async, {preference.applied}"
            )
        return headers


async def submit_and_wait(
    request: Request,
    services: Services,
    caller: Caller,
    submission: SubmitJob,
    key: IdempotencyKey | None,
    *,
    seconds: float,
) -> Submitted:
    """Store a job durably, and return it when it is done, or as it is after ``seconds``.

    Raises:
        InvalidInput: the payload or an option is not valid.
        UnknownJobType: there is no such type.
        TooLarge: the payload has too many bytes.
        QuotaExceeded: the caller has submitted more than its quota allows.
        IdempotencyKeyReused: the key was used for another request.
        IdempotencyKeyInFlight: another request with the key is being written.
        Unavailable: the database did not answer.
        ClientDisconnect: the client has closed the connection; the job goes on.
    """
    limit = services.settings.max_payload_bytes
    new = new_job(submission, services.registry, owner=caller.owner, max_payload_bytes=limit)
    await _require_references(services, caller, [("", submission)])
    stored = await _submit(services, caller, [new], key)
    replayed = stored.kind is SubmissionKind.REPLAYED
    job_id = stored.job_ids[0]
    row = await services.reads.job(job_id, caller) if replayed else stored.rows[job_id]
    if seconds and row["status"] not in TERMINAL:
        row = await wait_until_done(services, caller, job_id, seconds=seconds, request=request)
    return Submitted(row, existing=not replayed and job_id != new.id, replayed=replayed)


async def accepted(services: Services, submitted: Submitted, preference: Preference, *, status: int) -> Response:
    """Return the response whose body is the job."""
    return await job_response(services, submitted.row, status, headers=submitted.headers(preference))


@router.post("/v1/jobs/batch", operation_id="submitBatch", **operations.SUBMIT_BATCH)
async def submit_batch(request: Request) -> Response:
    """Submit many jobs: all are accepted, or none.

    `202` with their ids, in the order of the request. Where a live job of the same `unique_key` was there, its id
    stands in that place.
    """
    services = services_of(request)
    caller = await current_caller(request)
    body = await json_body(request)
    key = idempotency_key(request, services, caller, body)
    # In a thread: thousands of jobs take a while to validate.
    batch, new = await asyncio.to_thread(_read_batch, services, caller, body)
    await _require_references(services, caller, [(pointer(("jobs", index)), item) for index, item in enumerate(batch)])
    stored = await _submit(services, caller, new, key)
    headers = {"Idempotency-Replayed": "true"} if stored.kind is SubmissionKind.REPLAYED else None
    return respond({"ids": stored.job_ids}, 202, headers)


def _read_batch(services: Services, caller: Caller, body: bytes) -> tuple[list[SubmitJob], list[NewJob]]:
    settings = services.settings
    batch = parse(SubmitBatch, body).jobs
    if len(batch) > settings.max_batch_jobs:
        raise InvalidInput(
            f"The batch has {len(batch)} jobs, {settings.max_batch_jobs} are allowed. Split it.",
            [FieldError(f"at most {settings.max_batch_jobs} jobs are allowed", "/jobs")],
        )
    limit = settings.max_payload_bytes
    return batch, new_jobs(batch, services.registry, owner=caller.owner, max_payload_bytes=limit)


def preference_of(request: Request, services: Services) -> Preference:
    """Return the client's preference: of the parameter ``async_mode``, or else of the Prefer header.

    Raises:
        InvalidInput: ``async_mode`` is not a boolean.
    """
    longest = services.settings.max_wait
    if request.scope["query_string"]:
        match parameters.boolean(request, "async_mode"):
            case True:
                return Preference.read("respond-async", longest=longest)
            case False:
                return Preference.read(f"wait={longest:.0f}", longest=longest)
    headers = request.headers.getlist("prefer")
    return Preference.read(",".join(headers), longest=longest) if headers else Preference()


def idempotency_key(request: Request, services: Services, caller: Caller, body: bytes) -> IdempotencyKey | None:
    """Return the Idempotency-Key header with a hash of the request; None without the header.

    Raises:
        InvalidInput: the header is malformed.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if _KEY.fullmatch(key) is None:
        raise parameters.refused("Idempotency-Key", "must be 1 to 255 visible ASCII characters", where="headers")
    request_hash = hashlib.sha256(request.url.path.encode() + b"\n" + body).digest()
    return IdempotencyKey(caller.owner, key, request_hash, services.settings.idempotency_ttl)


async def _require_references(services: Services, caller: Caller, submissions: list[tuple[str, SubmitJob]]) -> None:
    named = [(place, item) for place, item in submissions if names_others(item, known_queues=services.queues)]
    if named:
        await services.threads.run(
            lambda connection: require_references(connection, named, known_queues=services.queues, caller=caller)
        )


async def _submit(
    services: Services, caller: Caller, new: list[NewJob], key: IdempotencyKey | None
) -> SubmissionResult:
    caller.require_submission()
    try:
        async with services.limits.submission(caller, len(new)):
            stored = await services.submissions.submit(transitions.SubmissionRequest(new, key))
            services.metrics.submitted(job for job in new if job.id in stored.rows)
    except QuotaExceeded:
        if key is None:
            raise
        # A repeated request makes no job, so no quota applies to it.
        earlier = await services.threads.run(lambda connection: transitions.find_submission(connection, key))
        if earlier is None:
            raise
        stored = earlier
    require_stored(stored)
    return stored


def require_stored(result: SubmissionResult) -> None:
    """Require that the jobs of a submission have been stored, now or by an earlier request.

    Raises:
        IdempotencyKeyReused: its key was used for another request.
        IdempotencyKeyInFlight: another request with its key is being written.
    """
    match result.kind:
        case SubmissionKind.KEY_REUSED:
            raise IdempotencyKeyReused(
                "This Idempotency-Key was used for another request. Use a new key for a new request.",
                [FieldError("was used for another request", "/headers/Idempotency-Key")],
            )
        case SubmissionKind.KEY_IN_FLIGHT:
            raise IdempotencyKeyInFlight(
                "Another request with this Idempotency-Key is being written right now. Repeat this one a little later."
            )
