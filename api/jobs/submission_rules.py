"""From what a client asks for to a job that can be stored. Pure but for :func:`require_references`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from sqlalchemy import Connection

from callboard.actors.types.registry import JobType, Registry
from callboard.api.auth.caller import Caller
from callboard.api.wire.requests import SubmitJob
from callboard.db.dispatching.queues import queue_names
from callboard.db.errors import FieldError, InvalidInput, TooLarge
from callboard.db.reads.jobs import get_jobs
from callboard.db.rules.ids import new_id
from callboard.db.rules.new_job import OPTIONS, NewJob
from callboard.db.rules.pointers import pointer

_MOST_ERRORS: Final = 100
#: The options that a job type has a default for.
_REQUIRED: Final = tuple(name for name, option in OPTIONS.items() if option.required)


def new_job(submission: SubmitJob, registry: Registry, *, owner: str, max_payload_bytes: int) -> NewJob:
    """Return the job that ``submission`` describes, with the defaults of its type.

    Raises:
        UnknownJobType: there is no such type.
        InvalidInput: the payload does not fit the type's schema, or an option its bounds.
        TooLarge: the payload has more bytes than allowed.
    """
    job_type = registry.get(submission.type)
    options = submission.options
    if wrong := _beyond_bounds(options, job_type):
        raise InvalidInput(f"The options do not fit job type {job_type.name!r}.", wrong)
    job_type.validate_payload(submission.payload)
    payload = orjson.dumps(submission.payload)
    if len(payload) > max_payload_bytes:
        raise TooLarge(
            f"The payload has {len(payload)} bytes, {max_payload_bytes} are allowed. "
            "Upload large data as a file (POST /v1/files) and name it in the payload."
        )
    if options.get("delay") == 0:
        del options["delay"]  # it is due at once, as without one
    if "tags" in options:
        options["tags"] = orjson.dumps(options["tags"])
    of_type = {name: getattr(job_type, name) for name in _REQUIRED}
    return NewJob(id=new_id(), type=job_type.name, owner=owner, payload=payload, **{**of_type, **options})


def new_jobs(
    submissions: Sequence[SubmitJob], registry: Registry, *, owner: str, max_payload_bytes: int
) -> list[NewJob]:
    """Return the jobs of a batch.

    Raises:
        InvalidInput: at least one does not fit; each error's pointer begins with ``/jobs/<index>``.
        TooLarge: a payload has more bytes than allowed.
    """
    jobs: list[NewJob] = []
    wrong: list[FieldError] = []
    first: InvalidInput | None = None
    for index, item in enumerate(submissions):
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


def _beyond_bounds(options: Mapping[str, Any], job_type: JobType) -> list[FieldError]:
    wrong = []
    if options.get("max_retries", 0) > job_type.highest_max_retries:
        wrong.append(FieldError(f"at most {job_type.highest_max_retries} retries are allowed", "/max_retries"))
    if options.get("time_limit", 0) > job_type.highest_time_limit:
        wrong.append(FieldError(f"at most {job_type.highest_time_limit:g} seconds are allowed", "/time_limit"))
    scheduled_at, expires_at = options.get("scheduled_at"), options.get("expires_at")
    if "delay" in options and scheduled_at is not None:
        wrong.append(FieldError("delay and scheduled_at exclude each other", "/scheduled_at"))
    if scheduled_at is not None and expires_at is not None and expires_at <= scheduled_at:
        wrong.append(FieldError("expires_at must be later than scheduled_at", "/expires_at"))
    return wrong


def names_others(submission: SubmitJob, *, known_queues: frozenset[str]) -> bool:
    """Return whether the submission names a parent, or a queue that may not exist: :func:`require_references` reads."""
    options = submission.options
    return "parent_id" in options or ("queue" in options and options["queue"] not in known_queues)


def require_references(
    connection: Connection,
    submissions: Sequence[tuple[str, SubmitJob]],
    *,
    known_queues: frozenset[str],
    caller: Caller,
) -> None:
    """Return if the queues and parents that these submissions name exist.

    Args:
        connection: to look with.
        submissions: each after the pointer to it.
        known_queues: queues that need no look.
        caller: a parent that it may not see does not exist.

    Raises:
        InvalidInput: something does not exist.
    """
    queues = known_queues | queue_names(connection)
    given = [(place, item.options) for place, item in submissions]
    parents = get_jobs(connection, sorted({options["parent_id"] for _, options in given if "parent_id" in options}))
    wrong = []
    for place, options in given:
        if (queue := options.get("queue")) is not None and queue not in queues:
            wrong.append(FieldError(f"there is no queue {queue!r}", f"{place}/queue"))
        if (parent_id := options.get("parent_id")) is not None:
            parent = parents.get(parent_id)
            if parent is None or not caller.sees(parent["owner"]):
                wrong.append(FieldError(f"there is no job {parent_id}", f"{place}/parent_id"))
    if wrong:
        raise InvalidInput(f"Not accepted: {wrong[0].detail}.", wrong[:_MOST_ERRORS])
