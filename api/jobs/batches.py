"""Reads the body of a batch in parts, none of which takes long to parse or much memory. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from callboard.actors.types.registry import Registry
from callboard.api.auth.caller import Caller
from callboard.api.errors import MalformedBody
from callboard.api.jobs.submission_rules import Named, names_others, new_jobs
from callboard.api.wire.bodies import largest_job, parse
from callboard.api.wire.body_threads import SMALL
from callboard.api.wire.json_scan import is_batch, job_extents, require_few_members, too_many_jobs
from callboard.api.wire.requests import SubmitBatch, SubmitJob
from callboard.db.errors import FieldError, InvalidInput
from callboard.db.rules.json_pointer import pointer
from callboard.db.rules.new_job import NewJob
from callboard.db.settings import Settings

#: Bytes and jobs after which a part ends.
_PART_BYTES: Final = 128 * 2**10
_PART_JOBS: Final = 500
_INDEX: Final = re.compile(r"/jobs/([0-9]+)")


def read_batch(
    body: bytes, settings: Settings, registry: Registry, queues: frozenset[str], *, caller: Caller
) -> tuple[list[NewJob], list[Named]]:
    """Return the jobs of a batch, and those submissions that name others.

    Args:
        body: of the request.
        settings: with the limits of a batch.
        registry: the job types that may be submitted.
        queues: those that need no look.
        caller: whose jobs they are.

    Raises:
        MalformedBody: the body is not JSON.
        Forbidden: the caller may not submit one of the types.
        InvalidInput: it is no batch, has too many jobs, or some do not fit; then no later part has been read.
        TooLarge: a job or its payload has too many bytes, or too many values.
    """
    new: list[NewJob] = []
    named: list[Named] = []
    for submissions in _parts(body, settings):
        first = len(new)
        new += new_jobs(submissions, registry, caller=caller, max_payload_bytes=settings.max_payload_bytes, first=first)
        # Of a part only this is kept: payloads take many times their bytes.
        given = ((pointer(("jobs", index)), item.options) for index, item in enumerate(submissions, first))
        named += [(place, options) for place, options in given if names_others(options, known_queues=queues)]
    return new, named


def _parts(body: bytes, settings: Settings) -> Iterator[list[SubmitJob]]:
    if not is_batch(body):
        if len(body) > SMALL:
            raise InvalidInput("The body does not fit.", [FieldError('must begin with {"jobs": [', "")])
        # Not a batch at all, most likely: this says what is wrong.
        yield _with_few_jobs(parse(SubmitBatch, body).jobs, settings)
        return
    # All of them, before anything is parsed.
    extents = list(job_extents(body, most=settings.max_batch_jobs, largest=largest_job(settings)))
    if not extents:
        yield parse(SubmitBatch, body).jobs
    first = 0
    for index, (_, end) in enumerate(extents):
        if index > first and (index - first == _PART_JOBS or end - extents[first][0] > _PART_BYTES):
            yield _parse_part(body, extents[first:index], first)
            first = index
    yield _parse_part(body, extents[first:], first)


def _parse_part(body: bytes, extents: list[tuple[int, int]], first: int) -> list[SubmitJob]:
    jobs = body[extents[0][0] : extents[-1][1]]
    try:
        if len(jobs) > _PART_BYTES:  # one large job
            require_few_members(jobs)
        return parse(SubmitBatch, b'{"jobs":[%b]}' % jobs).jobs
    except MalformedBody as error:
        raise MalformedBody(f"In the batch, from job {first} on: {error}") from None
    except InvalidInput as error:
        moved = [FieldError(item.detail, _moved(item.pointer, first)) for item in error.errors]
        raise type(error)(str(error), moved) from None


def _moved(place: str, first: int) -> str:
    return _INDEX.sub(lambda match: f"/jobs/{first + int(match[1])}", place, count=1)


def _with_few_jobs(jobs: list[SubmitJob], settings: Settings) -> list[SubmitJob]:
    if len(jobs) > settings.max_batch_jobs:
        raise too_many_jobs(settings.max_batch_jobs)
    return jobs
