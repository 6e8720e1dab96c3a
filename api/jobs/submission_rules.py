"""From what a client asks for to a job that can be stored. Pure but for :func:`require_references`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson
from sqlalchemy import Connection

from callboard.actors.types.registry import JobType, Registry
from callboard.api.auth.caller import Caller
from callboard.api.wire.pointers import pointer
from callboard.api.wire.requests import SubmitJob
from callboard.db.dispatching.queues import queue_names
from callboard.db.errors import FieldError, InvalidInput, TooLarge
from callboard.db.reads.jobs import get_jobs
from callboard.db.rules.ids import new_id
from callboard.db.transitions import NewJob

_MOST_ERRORS: Final = 100


def new_job(wanted: SubmitJob, registry: Registry, *, owner: str, max_payload_bytes: int) -> NewJob:
    """Return the job that ``wanted`` describes, with the defaults of its type.

    Raises:
        UnknownJobType: there is no such type.
        InvalidInput: the payload does not fit the type's schema, or an option its bounds.
        TooLarge: the payload has more bytes than allowed.
    """
    job_type = registry.get(wanted.type)
    if wrong := _beyond_bounds(wanted, job_type):
        raise InvalidInput(f"The options do not fit job type {job_type.name!r}.", wrong)
    job_type.validate_payload(wanted.payload)
    payload = orjson.dumps(wanted.payload)
    if len(payload) > max_payload_bytes:
        raise TooLarge(
            f"The payload has {len(payload)} bytes, {max_payload_bytes} are allowed. "
            "Upload large data as a file (POST /v1/files) and name it in the payload."
        )
    return NewJob(
        id=new_id(),
        type=job_type.name,
        queue=wanted.queue if wanted.queue is not None else job_type.queue,
        owner=owner,
        payload=payload,
        priority=wanted.priority if wanted.priority is not None else job_type.priority,
        max_retries=wanted.max_retries if wanted.max_retries is not None else job_type.max_retries,
        time_limit=wanted.time_limit if wanted.time_limit is not None else job_type.time_limit,
        tags=orjson.dumps(wanted.tags) if wanted.tags else b"{}",
        delay=wanted.delay or None,
        scheduled_at=wanted.scheduled_at,
        expires_at=wanted.expires_at,
        unique_key=wanted.unique_key,
        parent_id=wanted.parent_id,
    )


def new_jobs(wanted: Sequence[SubmitJob], registry: Registry, *, owner: str, max_payload_bytes: int) -> list[NewJob]:
    """Return the jobs of a batch.

    Raises:
        InvalidInput: at least one does not fit; each error's pointer begins with ``/jobs/<index>``.
        TooLarge: a payload has more bytes than allowed.
    """
    jobs: list[NewJob] = []
    wrong: list[FieldError] = []
    first: InvalidInput | None = None
    for index, item in enumerate(wanted):
        try:
            jobs.append(new_job(item, registry, owner=owner, max_payload_bytes=max_payload_bytes))
        except TooLarge as error:
            raise TooLarge(f"Job {index} of the batch: {error}") from None
        except InvalidInput as error:
            first = first or error
            place = pointer(("jobs", index))
            wrong += [FieldError(item.detail, place + item.pointer) for item in error.errors]
            if len(wrong) >= _MOST_ERRORS:
                break
    if first is not None:
        raise type(first)(f"The batch was not accepted: {first}", wrong[:_MOST_ERRORS])
    return jobs


def _beyond_bounds(wanted: SubmitJob, job_type: JobType) -> list[FieldError]:
    wrong = []
    if wanted.max_retries is not None and wanted.max_retries > job_type.highest_max_retries:
        wrong.append(FieldError(f"at most {job_type.highest_max_retries} retries are allowed", "/max_retries"))
    if wanted.time_limit is not None and wanted.time_limit > job_type.highest_time_limit:
        wrong.append(FieldError(f"at most {job_type.highest_time_limit:g} seconds are allowed", "/time_limit"))
    if wanted.delay is not None and wanted.scheduled_at is not None:
        wrong.append(FieldError("delay and scheduled_at exclude each other", "/scheduled_at"))
    if wanted.scheduled_at is not None and wanted.expires_at is not None and wanted.expires_at <= wanted.scheduled_at:
        wrong.append(FieldError("expires_at must be later than scheduled_at", "/expires_at"))
    return wrong


def require_references(
    connection: Connection, wanted: Sequence[tuple[str, SubmitJob]], *, known_queues: frozenset[str], caller: Caller
) -> None:
    """Return if the queues and parents that these submissions name exist.

    Args:
        connection: to look with.
        wanted: submissions, each after the pointer to it.
        known_queues: queues that need no look.
        caller: a parent that it may not see does not exist.

    Raises:
        InvalidInput: something does not exist.
    """
    queues = known_queues | queue_names(connection)
    parents = get_jobs(connection, sorted({item.parent_id for _, item in wanted if item.parent_id is not None}))
    wrong = []
    for place, item in wanted:
        if item.queue is not None and item.queue not in queues:
            wrong.append(FieldError(f"there is no queue {item.queue!r}", f"{place}/queue"))
        if item.parent_id is not None:
            parent = parents.get(item.parent_id)
            if parent is None or not caller.sees(parent["owner"]):
                wrong.append(FieldError(f"there is no job {item.parent_id}", f"{place}/parent_id"))
    if wrong:
        raise InvalidInput(f"Not accepted: {wrong[0].detail}.", wrong[:_MOST_ERRORS])
