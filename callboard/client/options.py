"""What can be said of a job when it is submitted, and of jobs when they are listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Required, TypedDict
from uuid import UUID

from callboard.db.rules.states import Status


class SubmitOptions(TypedDict, total=False):
    """How a job is to run. What is left out is as its type says."""

    queue: str
    """Another queue than the type's own."""
    priority: int
    """0 to 9, higher first."""
    delay: float | timedelta
    """Seconds until it is due. Not together with ``scheduled_at``."""
    scheduled_at: datetime
    """When it is due, with a time zone."""
    expires_at: datetime
    """It ends as expired if it has not started by then. With a time zone."""
    time_limit: float | timedelta
    """Seconds that one attempt may take."""
    max_retries: int
    """Attempts after the first."""
    tags: Mapping[str, str]
    """Names and values to find it by."""
    unique_key: str
    """While a live job of the same owner and type has it, a submission gives that job."""
    parent_id: UUID | str
    """The job that this one belongs to."""


class NewJob(SubmitOptions):
    """A job of a batch."""

    type: Required[str]
    """The job type, such as ``table.analyze``."""
    payload: Required[Any]
    """A Pydantic model or anything else that has a JSON form."""


class Filters(TypedDict, total=False):
    """Which jobs to list."""

    status: Status | str | Sequence[Status | str]
    type: str
    queue: str
    owner: str
    """Operators and viewers see more than their own."""
    tags: Mapping[str, str]
    """Names and values, all of which it has."""
    created_after: datetime
    created_before: datetime
    parent_id: UUID | str
    page_size: int
    """Jobs that one request fetches, 1 to 500."""


def submission(new: NewJob) -> dict[str, Any]:
    """Return the body that submits a job.

    Raises:
        ValueError: a time has no time zone.
    """
    return {name: _plain(name, value) for name, value in new.items() if name == "payload" or value is not None}


def query(filters: Filters) -> dict[str, str | list[str]]:
    """Return the query parameters that list jobs.

    Raises:
        ValueError: a time has no time zone.
    """
    parameters: dict[str, str | list[str]] = {}
    for name, value in filters.items():
        match value:
            case None:
                pass
            case Mapping() if name == "tags":
                parameters["tag"] = [f"{key}:{item}" for key, item in value.items()]
            case datetime():
                parameters[name] = _utc(name, value).isoformat()
            case list() | tuple() | set() | frozenset():
                parameters[name] = [str(item) for item in value]
            case _:
                parameters[name] = str(value)
    return parameters


def _plain(name: str, value: Any) -> Any:
    match value:
        case datetime() if name != "payload":
            return _utc(name, value)
        case timedelta() if name != "payload":
            return value.total_seconds()
    return value


def _utc(name: str, moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{name} is {moment.isoformat()}, without a time zone. Use datetime.now(UTC) or the like.")
    return moment.astimezone(UTC)
