"""``POST /v1/jobs`` and ``/v1/jobs/batch``. The response is sent when the jobs are durable."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
from fastapi import APIRouter, Request, Response

from callboard.api.auth.caller import Caller, current_caller
from callboard.api.errors import IdempotencyKeyInFlight, IdempotencyKeyReused, QuotaExceeded
from callboard.api.jobs import log_fields
from callboard.api.jobs.batches import read_batch
from callboard.api.jobs.response import job_response
from callboard.api.jobs.submission_rules import Named, names_others, new_job, require_references
from callboard.api.jobs.waiting import wait_until_done
from callboard.api.openapi import operations
from callboard.api.services import Services, services_of
from callboard.api.wire import parameters
from callboard.api.wire.bodies import json_body, largest_job, parse
from callboard.api.wire.prefer import Preference
from callboard.api.wire.rendering import respond
from callboard.api.wire.requests import SubmitJob
from callboard.db import transitions
from callboard.db.errors import FieldError
from callboard.db.models.job_view import JobView
from callboard.db.rules.states import TERMINAL
from callboard.db.transitions import IdempotencyKey, NewJob, SubmissionKind, SubmissionResult

_log = structlog.get_logger(__name__)

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
    body = await json_body(request, most=largest_job(services.settings))
    key = await idempotency_key(request, services, caller, body)
    submitted = await submit_and_wait(
        request, services, caller, lambda: parse(SubmitJob, body), key, size=len(body), seconds=preference.wait
    )
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
    read: Callable[[], SubmitJob],
    key: IdempotencyKey | None,
    *,
    size: int,
    seconds: float,
) -> Submitted:
    """Store a job durably, and return it when it is done, or as it is after ``seconds``.

    Args:
        request: the wait ends with its connection.
        services: of the application.
        caller: of the request.
        read: parses the body; in a thread, where that takes long.
        key: the request's Idempotency-Key.
        size: of the body, in bytes.
        seconds: longest wait.

    Raises:
        MalformedBody: the body is not JSON.
        InvalidInput: the payload or an option is not valid.
        UnknownJobType: there is no such type.
        Forbidden: the caller may not submit, or not this type.
        TooLarge: the payload has too many bytes.
        QuotaExceeded: the caller has submitted more than its quota allows.
        IdempotencyKeyReused: the key was used for another request.
        IdempotencyKeyInFlight: another request with the key is being written.
        Unavailable: the database did not answer.
        ClientDisconnect: the client has closed the connection; the job goes on.
    """

    def read_job() -> tuple[NewJob, list[Named]]:
        submission = read()
        limit = services.settings.max_payload_bytes
        new = new_job(submission, services.registry, caller=caller, max_payload_bytes=limit)
        options = submission.options
        return new, [("", options)] if names_others(options, known_queues=services.queues) else []

    new, named = await services.bodies.run(size, read_job)
    await _require_references(services, caller, named)
    stored = await _submit(request, services, caller, [new], key)
    replayed = stored.kind is SubmissionKind.REPLAYED
    job_id = stored.job_ids[0]
    row = await services.reads.job(job_id, caller) if replayed else stored.rows[job_id]
    if seconds and row["status"] not in TERMINAL:
        row = await wait_until_done(services, job_id, seconds=seconds, request=request)
    return Submitted(row, existing=not replayed and job_id != new.id, replayed=replayed)


async def accepted(services: Services, submitted: Submitted, preference: Preference, *, status: int) -> Response:
    """Return the response whose body is the job."""
    headers = submitted.headers(preference)
    if status == 202:
        # Of a replayed bulk action that is done as well: its status says no more than that it was accepted.
        headers["Retry-After"] = "1"
    return await job_response(services, submitted.row, status, headers=headers)


@router.post("/v1/jobs/batch", operation_id="submitBatch", **operations.SUBMIT_BATCH)
async def submit_batch(request: Request) -> Response:
    """Submit many jobs: all are accepted, or none.

    `202` with their ids, in the order of the request. Where a live job of the same `unique_key` was there, its id
    stands in that place.
    """
    services = services_of(request)
    caller = await current_caller(request)
    body = await json_body(request, most=services.settings.max_body_bytes)
    key = await idempotency_key(request, services, caller, body)
    new, named = await services.bodies.run(
        len(body),
        lambda: read_batch(body, services.settings, services.registry, services.queues, caller=caller),
    )
    await _require_references(services, caller, named)
    stored = await _submit(request, services, caller, new, key)
    headers = {"Idempotency-Replayed": "true"} if stored.kind is SubmissionKind.REPLAYED else None
    return respond({"ids": stored.job_ids}, 202, headers)


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


async def idempotency_key(request: Request, services: Services, caller: Caller, body: bytes) -> IdempotencyKey | None:
    """Return the Idempotency-Key header with a hash of the request; None without the header.

    Raises:
        InvalidInput: the header is malformed.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if _KEY.fullmatch(key) is None:
        raise parameters.refused("Idempotency-Key", "must be 1 to 255 visible ASCII characters", where="headers")

    def hash_request() -> bytes:
        digest = hashlib.sha256(request.url.path.encode() + b"\n")
        digest.update(body)
        return digest.digest()

    request_hash = await services.bodies.run(len(body), hash_request)
    return IdempotencyKey(caller.owner, key, request_hash, services.settings.idempotency_ttl)


async def _require_references(services: Services, caller: Caller, named: list[Named]) -> None:
    if named:
        await services.threads.run(
            lambda connection: require_references(connection, named, known_queues=services.queues, caller=caller)
        )


async def _submit(
    request: Request, services: Services, caller: Caller, new: list[NewJob], key: IdempotencyKey | None
) -> SubmissionResult:
    caller.require_submission()
    try:
        async with services.limits.submission(caller, len(new)):
            stored = await services.submissions.submit(transitions.SubmissionRequest(new, key))
    except QuotaExceeded:
        if key is None:
            raise
        # A repeated request makes no job, so no quota applies to it.
        earlier = await services.threads.run(lambda connection: transitions.find_submission(connection, key))
        if earlier is None:
            raise
        stored = earlier
    require_stored(stored)
    made = [job for job in new if job.id in stored.rows]
    services.metrics.submitted(made)
    _log_submitted(made, request, caller)
    return stored


def _log_submitted(made: list[NewJob], request: Request, caller: Caller) -> None:
    """Log jobs that are durable: one line, also for a batch."""
    who = log_fields.of_caller(request, caller)
    match made:
        case []:
            pass
        case [new]:
            _log.info("job_submitted", **log_fields.of_new(new), **who)
        case _:
            ids = {"first_id": str(made[0].id), "last_id": str(made[-1].id)}
            _log.info("jobs_submitted", jobs=len(made), **ids, owner=caller.owner, **who)


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
