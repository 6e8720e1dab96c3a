"""The options of submissions, and the filters of lists and of history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Required, TypedDict
from uuid import UUID

from callboard.db.rules.states import Status


class SubmitOptions(TypedDict, total=False):
    """How a job is to run. For what is left out, the job type's default holds."""

    queue: str
    """Another queue than the type's own."""
    priority: int
    """0 to 9, higher first."""
    delay: float | timedelta
    """Seconds until the job is due. Not together with ``scheduled_at``."""
    scheduled_at: datetime
    """When the job is due, with a time zone."""
    expires_at: datetime
    """A job that has not started by then ends as expired. With a time zone."""
    time_limit: float | timedelta
    """Seconds that one attempt may take."""
    max_retries: int
    """Attempts after the first."""
    tags: Mapping[str, str]
    """Names and values by which lists find the job."""
    unique_key: str
    """While a live job of the same owner and type has this key, a submission returns that job."""
    result_ttl: float | timedelta
    """Seconds after a success for which payload and result are kept."""
    parent_id: UUID | str
    """The job that this one belongs to."""


class NewJob(SubmitOptions):
    """A job of a batch."""

    type: Required[str]
    """The job type, such as ``table.analyze``."""
    payload: Required[Any]
    """A Pydantic model or anything else that has a JSON form."""


class Filters(TypedDict, total=False):
    """Which jobs to return. What is left out or None does not filter."""

    status: Status | str | Sequence[Status | str] | None
    type: str | None
    queue: str | None
    owner: str | None
    """Operators and viewers see the jobs of other owners, too."""
    tags: Mapping[str, str] | None
    """Names and values; a job needs all of them."""
    created_after: datetime | None
    """With a time zone, as every time here."""
    created_before: datetime | None
    parent_id: UUID | str | None


class ListOptions(Filters, total=False):
    """Which jobs to list, and how many at a time."""

    page_size: int
    """Jobs of one page, 1 to 500. Default: the server's."""


class ExportOptions(Filters, total=False):
    """Which finished jobs to export, and as what."""

    format: str
    """``ndjson`` (the default), ``csv`` or ``parquet``."""
    include: Sequence[str]
    """``payload`` and ``result`` add these columns."""
    cursor: UUID | str | None
    """Go on after the job with this id: the last one that an export wrote before it broke off."""


class Period(TypedDict, total=False):
    """When jobs finished, and whose they are."""

    since: datetime | None
    """Default: a day before ``until``. With a time zone, as every time here."""
    until: datetime | None
    """Default: now."""
    owner: str | None
    """Operators and viewers see the jobs of other owners, too."""
    groups: int
    """Most groups to return, 1 to 1000: the largest ones. Default: the server's."""


class SummaryOptions(Period, total=False):
    """Which finished jobs to count, and how to group them."""

    bucket: str | None
    """Length of the periods: ``minute``, ``hour`` or ``day``. Default: one period for all."""
    group_by: str | None
    """``type``, ``queue``, ``owner`` or ``status``. Default: one group for all."""


class FailureOptions(Period, total=False):
    """Which failed jobs to group."""

    type: str | None
    queue: str | None


#: Parameters whose name in the API differs, or is a keyword of Python.
_NAMES: Final = {"since": "from", "until": "to", "tags": "tag"}


def submission(new: NewJob) -> dict[str, Any]:
    """Return the body that submits a job.

    Raises:
        ValueError: a time has no time zone.
    """
    return {name: _plain(name, value) for name, value in new.items() if name == "payload" or value is not None}


def query(options: ListOptions | ExportOptions | SummaryOptions | FailureOptions) -> dict[str, str | list[str]]:
    """Return the query parameters for these options.

    Raises:
        ValueError: a time has no time zone.
    """
    parameters: dict[str, str | list[str]] = {}
    for option, value in options.items():
        name = _NAMES.get(option, option)
        match value:
            case None:
                pass
            case Mapping():
                parameters[name] = [f"{key}:{item}" for key, item in value.items()]
            case datetime():
                parameters[name] = _utc(option, value).isoformat()
            case list() | tuple() | set() | frozenset():
                parameters[name] = [str(item) for item in value]
            case _:
                parameters[name] = str(value)
    return parameters


def _plain(name: str, value: Any) -> Any:
    match value:
        case datetime() if name != "payload":
            return _utc(name, value).isoformat()
        case timedelta() if name != "payload":
            return value.total_seconds()
    return value


def _utc(name: str, moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{name} is {moment.isoformat()}, without a time zone. Use datetime.now(UTC) or the like.")
    return moment.astimezone(UTC)
