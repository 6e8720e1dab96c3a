"""Checks the options of a job type: kinds and bounds."""

from __future__ import annotations

import functools
import re
import typing
from typing import TYPE_CHECKING, Final

from callboard.actors.types.bounds import (
    DEFAULT_MAX_BACKOFF,
    LEAST_MEMORY_LIMIT,
    LONGEST_TIME_LIMIT,
    MOST_RETRIES,
    Isolation,
)
from callboard.actors.types.json_form import json_form
from callboard.db.errors import ConfigurationError, InvalidInput, TooLarge
from callboard.db.rules.new_job import SERVICE_QUEUE

if TYPE_CHECKING:
    from callboard.actors.types.registry import JobType

_LARGEST_EXAMPLE: Final = 2**16
# A name goes into URLs, metric labels and log lines.
_NAME = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_./:-]{0,199}")
_QUEUE_NAME = re.compile(r"(?!.*\.[DX]Q$)[A-Za-z_][A-Za-z0-9_.-]{0,99}")


def check(job_type: JobType) -> None:
    """Check the options of a job type.

    Raises:
        ConfigurationError: one is of another kind, or out of its bounds; the message has the place.
    """
    _check_kinds(job_type)
    refuse = functools.partial(_refuse, job_type)
    if not _NAME.fullmatch(job_type.name):
        refuse("its name", job_type.name, "1 to 200 letters, digits or any of _ . / : -")
    if not _QUEUE_NAME.fullmatch(job_type.queue):
        refuse(
            "queue",
            job_type.queue,
            "1 to 100 letters, digits or any of _ . -, beginning with a letter or _, not ending in .DQ or .XQ",
        )
    if job_type.queue == SERVICE_QUEUE and not job_type.internal:
        refuse("queue", job_type.queue, "another one: this is the queue of Callboard's own jobs")
    if not 0 <= job_type.priority <= 9:
        refuse("priority", job_type.priority, "0 to 9, higher first")
    if not 0 <= job_type.highest_max_retries <= MOST_RETRIES:
        refuse("highest_max_retries", job_type.highest_max_retries, f"0 to {MOST_RETRIES}")
    if not 0 <= job_type.max_retries <= job_type.highest_max_retries:
        refuse("max_retries", job_type.max_retries, f"0 to {job_type.highest_max_retries}")
    if not 0 < job_type.highest_time_limit <= LONGEST_TIME_LIMIT:
        refuse("highest_time_limit", job_type.highest_time_limit, f"above 0 and up to {LONGEST_TIME_LIMIT:g} seconds")
    if not 0 < job_type.time_limit <= job_type.highest_time_limit:
        refuse("time_limit", job_type.time_limit, f"above 0 and up to {job_type.highest_time_limit:g} seconds")
    if not 0 <= job_type.min_backoff <= job_type.max_backoff <= DEFAULT_MAX_BACKOFF:
        refuse(
            "backoff", (job_type.min_backoff, job_type.max_backoff), "0 <= min_backoff <= max_backoff <= 604800 seconds"
        )
    _check_isolation(job_type)
    _check_example(job_type)


def _check_example(job_type: JobType) -> None:
    try:
        json_form(job_type.example, what="its example", max_bytes=_LARGEST_EXAMPLE)
    except (InvalidInput, TooLarge) as error:
        raise ConfigurationError(f"Job type {job_type.name!r} at {job_type.source}: {error}") from error


def _check_isolation(job_type: JobType) -> None:
    refuse = functools.partial(_refuse, job_type)
    if job_type.isolation not in typing.get_args(Isolation):
        refuse("isolation", job_type.isolation, "'thread' or 'process'")
    if job_type.memory_limit is not None:
        if job_type.isolation != "process":
            refuse("memory_limit", job_type.memory_limit, "left out without isolation='process'")
        if job_type.memory_limit < LEAST_MEMORY_LIMIT:
            refuse("memory_limit", job_type.memory_limit, "64 MiB or more")


def _check_kinds(job_type: JobType) -> None:
    """Refuse options that are not of the kind that :class:`JobType` declares."""
    for option in ("name", "queue", "description"):
        if not isinstance(value := getattr(job_type, option), str):
            _refuse(job_type, option, value, "text")
    for option in ("priority", "max_retries", "highest_max_retries"):
        if not isinstance(value := getattr(job_type, option), int) or isinstance(value, bool):
            _refuse(job_type, option, value, "a whole number")
    for option in ("min_backoff", "max_backoff", "time_limit", "highest_time_limit"):
        if not isinstance(value := getattr(job_type, option), int | float) or isinstance(value, bool):
            _refuse(job_type, option, value, "a number of seconds")
    throws: tuple[object, ...] = job_type.throws
    for each in throws:
        if not (isinstance(each, type) and issubclass(each, BaseException)):
            _refuse(job_type, "throws", each, "an exception class, or several")
    if job_type.retry_when is not None and not callable(job_type.retry_when):
        _refuse(job_type, "retry_when", job_type.retry_when, "a function of the retries spent and the exception")


def _refuse(job_type: JobType, what: str, value: object, allowed: str) -> typing.NoReturn:
    raise ConfigurationError(
        f"Job type {job_type.name!r} at {job_type.source}: {what} is {value!r}, but must be {allowed}."
    )
