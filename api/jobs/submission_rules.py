"""From what a client asks for to a job that can be stored. Pure but for :func:`require_references`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, TypeAlias

import orjson
from sqlalchemy import Connection

from callboard.actors.types.findings import MOST_FINDINGS
from callboard.actors.types.registry import JobType, Registry
from callboard.api.auth.caller import Caller
from callboard.api.errors import Forbidden
from callboard.api.wire.requests import SubmitJob
from callboard.db.dispatching.queues import queue_names
from callboard.db.errors import FieldError, InvalidInput, TooLarge
from callboard.db.reads.jobs import get_jobs
from callboard.db.rules.ids import new_id
from callboard.db.rules.json_pointer import pointer
from callboard.db.rules.new_job import OPTIONS, SERVICE_QUEUE, NewJob

#: Bytes of a payload in which all is found that does not fit; in larger ones the first things.
_SEARCHED: Final = 8 * 2**10
#: Queues that an error lists.
_MOST_NAMES: Final = 20
#: The options that a job type has a default for.
_REQUIRED: Final = tuple(name for name, option in OPTIONS.items() if option.required)

Named: TypeAlias = tuple[str, Mapping[str, Any]]
"""The options of a submission, after the pointer to it."""


def new_job(submission: SubmitJob, registry: Registry, *, caller: Caller, max_payload_bytes: int) -> NewJob:
    """Return the job of ``caller`` that ``submission`` describes, with the defaults of its type.

    Raises:
        UnknownJobType: there is no such type.
        Forbidden: only operators may submit the type.
        InvalidInput: the payload does not fit the type's schema, or an option its bounds.
        TooLarge: the payload has more bytes than allowed.
    """
    job_type = registry.get(submission.type)
    if job_type.operators_only and not caller.is_operator:
        raise Forbidden(f"The role {caller.role!s} may not submit {job_type.name!r}; an operator may.")
    options = submission.options
    if wrong := _beyond_bounds(options, job_type):
        raise InvalidInput(f"The options do not fit job type {job_type.name!r}.", wrong)
    payload = orjson.dumps(submission.payload)
    if len(payload) > max_payload_bytes:
        raise TooLarge(
            f"The payload has {len(payload)} bytes, {max_payload_bytes} are allowed. "
            "Upload large data as a file (POST /v1/files) and name it in the payload."
        )
    job_type.validate_payload(submission.payload, fail_fast=len(payload) > _SEARCHED)
    if options.get("delay") == 0:
        del options["delay"]  # it is due at once, as without one
    if "tags" in options:
        options["tags"] = orjson.dumps(options["tags"])
    of_type = {name: getattr(job_type, name) for name in _REQUIRED}
    return NewJob(id=new_id(), type=job_type.name, owner=caller.owner, payload=payload, **{**of_type, **options})


def new_jobs(
    submissions: Sequence[SubmitJob], registry: Registry, *, caller: Caller, max_payload_bytes: int, first: int = 0
) -> list[NewJob]:
    """Return the jobs of a batch, or of a part of it that begins with the job ``first``.

    Raises:
        InvalidInput: at least one does not fit; each error's pointer begins with ``/jobs/<index>``.
        Forbidden: only operators may submit one of the types.
        TooLarge: a payload has more bytes than allowed.
    """
    jobs: list[NewJob] = []
    wrong: list[FieldError] = []
    example: InvalidInput | None = None
    for index, item in enumerate(submissions, first):
        try:
            jobs.append(new_job(item, registry, caller=caller, max_payload_bytes=max_payload_bytes))
        except (Forbidden, TooLarge) as error:
            raise type(error)(f"Job {index} of the batch: {error}") from None
        except InvalidInput as error:
            example = example or error
            place = pointer(("jobs", index))
            wrong += [FieldError(item.detail, place + item.pointer) for item in error.errors]
            if len(wrong) >= MOST_FINDINGS:
                break
    if example is not None:
        raise type(example)(f"The batch was not accepted: {example}", wrong[:MOST_FINDINGS])
    return jobs


def _beyond_bounds(options: Mapping[str, Any], job_type: JobType) -> list[FieldError]:
    wrong = []
    if options.get("max_retries", 0) > job_type.highest_max_retries:
        wrong.append(FieldError(f"at most {job_type.highest_max_retries} retries are allowed", "/max_retries"))
    if options.get("time_limit", 0) > job_type.highest_time_limit:
        wrong.append(FieldError(f"at most {job_type.highest_time_limit:g} seconds are allowed", "/time_limit"))
    if options.get("queue") == SERVICE_QUEUE:
        wrong.append(FieldError(f"the queue {SERVICE_QUEUE!r} is for Callboard's own jobs; choose another", "/queue"))
    scheduled_at, expires_at = options.get("scheduled_at"), options.get("expires_at")
    if "delay" in options and scheduled_at is not None:
        wrong.append(FieldError("delay and scheduled_at exclude each other", "/scheduled_at"))
    if scheduled_at is not None and expires_at is not None and expires_at <= scheduled_at:
        wrong.append(FieldError("expires_at must be later than scheduled_at", "/expires_at"))
    return wrong


def names_others(options: Mapping[str, Any], *, known_queues: frozenset[str]) -> bool:
    """Return whether the options name a parent, or a queue that may not exist: :func:`require_references` reads."""
    return "parent_id" in options or ("queue" in options and options["queue"] not in known_queues)


def require_references(
    connection: Connection,
    named: Sequence[Named],
    *,
    known_queues: frozenset[str],
    caller: Caller,
) -> None:
    """Return if the queues and parents that these submissions name exist.

    Args:
        connection: to look with.
        named: the submissions that name others.
        known_queues: queues that need no look.
        caller: a parent that it may not see does not exist.

    Raises:
        InvalidInput: something does not exist.
    """
    queues = known_queues | queue_names(connection)
    parents = get_jobs(connection, sorted({options["parent_id"] for _, options in named if "parent_id" in options}))
    wrong = []
    for place, options in named:
        if (queue := options.get("queue")) is not None and queue not in queues:
            wrong.append(FieldError(_no_queue(queue, queues), f"{place}/queue"))
        if (parent_id := options.get("parent_id")) is not None:
            parent = parents.get(parent_id)
            if parent is None or not caller.sees(parent["owner"]):
                wrong.append(FieldError(f"there is no job {parent_id}", f"{place}/parent_id"))
    if wrong:
        raise InvalidInput("The submission names something that does not exist.", wrong[:MOST_FINDINGS])


def _no_queue(name: str, queues: Collection[str]) -> str:
    some = ", ".join(sorted(queues)[:_MOST_NAMES])
    return f"there is no queue {name!r}; there are {some}{', …' if len(queues) > _MOST_NAMES else ''}"
