"""A job as it is submitted, and the one declaration of what a client may say of it. Pure.

Each option of a submission is a field of :class:`NewJob` with an :class:`Option`. From these come the INSERT, the
columns of ``jobs`` and ``job_history``, what job views and exports show, the request body and the command line's flags.
Where an option has to be written out for type checkers and readers, a test compares that with this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import Final
from uuid import UUID


class Kind(Enum):
    """What values an option has."""

    TEXT = "text"
    INTEGER = "integer"
    SECONDS = "seconds"
    TIME = "time"
    """With a time zone."""
    JOB_ID = "job id"
    TAGS = "tags"
    """Names and values, both strings."""


@dataclass(frozen=True, slots=True)
class Option:
    """What a client may say of a job when submitting it."""

    kind: Kind
    doc: str
    """A sentence or two for users."""
    comment: str | None = None
    """Of its column in ``jobs`` and ``job_history``; None: it has no column of its own."""
    required: bool = False
    """Every job has it: where a submission leaves it out, the job type says it."""
    shown: bool = True
    """Clients see it as a field of the job."""
    secret: bool = False
    """Analysts never see it."""
    least: float | None = None
    """Lowest value."""
    above: float | None = None
    """Each value is higher than this."""
    most: float | None = None
    """Highest value."""
    min_length: int | None = None
    """Fewest characters."""
    max_length: int | None = None
    """Most characters."""


#: Ten years, in seconds.
_TEN_YEARS: Final = 315_360_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job as it is submitted, already validated. Times are UTC, durations seconds, JSON is encoded."""

    id: UUID
    type: str
    owner: str
    payload: bytes
    queue: str = field(
        metadata={
            "option": Option(
                Kind.TEXT,
                "Another queue than the type's own.",
                "Queue it is sent through.",
                required=True,
                max_length=100,
            )
        }
    )
    priority: int = field(
        metadata={
            "option": Option(
                Kind.INTEGER,
                "0 to 9, higher first. Default: the type's.",
                "0 to 9, higher first.",
                required=True,
                least=0,
                most=9,
            )
        }
    )
    delay: float | None = field(
        default=None,
        metadata={
            "option": Option(
                Kind.SECONDS,
                "Seconds until it is due. Not together with `scheduled_at`.",
                shown=False,
                least=0,
                most=_TEN_YEARS,
            )
        },
    )
    scheduled_at: datetime | None = field(
        default=None,
        metadata={
            "option": Option(
                Kind.TIME,
                "When it is due. Not together with `delay`.",
                "When it is to start at the earliest; NULL: at once.",
            )
        },
    )
    expires_at: datetime | None = field(
        default=None,
        metadata={
            "option": Option(
                Kind.TIME,
                "Ends as expired if it has not started by then.",
                "When it is given up unless it has started; NULL: never.",
            )
        },
    )
    time_limit: float = field(
        metadata={
            "option": Option(
                Kind.SECONDS,
                "Seconds that one attempt may take, up to the type's bound. Default: the type's.",
                "Longest run of one attempt, in seconds.",
                required=True,
                above=0,
            )
        }
    )
    max_retries: int = field(
        metadata={
            "option": Option(
                Kind.INTEGER,
                "Attempts after the first, up to the type's bound. Default: the type's.",
                "How many it has.",
                required=True,
                least=0,
            )
        }
    )
    tags: bytes = field(
        default=b"{}",
        metadata={
            "option": Option(
                Kind.TAGS,
                "Names and values to find it by.",
                "What the client labelled it with: an object of strings.",
            )
        },
    )
    unique_key: str | None = field(
        default=None,
        metadata={
            "option": Option(
                Kind.TEXT,
                "While a live job of the same owner and type has it, a submission gives that job.",
                "At most one live job of an owner and type has it.",
                shown=False,
                secret=True,
                min_length=1,
                max_length=200,
            )
        },
    )
    result_ttl: float | None = field(
        default=None,
        metadata={
            "option": Option(
                Kind.SECONDS,
                "Seconds after a success for which payload and result are kept. Default: until a retention rule or a "
                "client ends them.",
                "Seconds after a success for which payload and result are kept; NULL: no limit of its own.",
                least=0,
                most=_TEN_YEARS,
            )
        },
    )
    parent_id: UUID | None = field(
        default=None,
        metadata={
            "option": Option(Kind.JOB_ID, "The job that this one belongs to.", "The job that submitted it, if one did.")
        },
    )
    batch_id: UUID | None = None
    """Reserved: no submission says it yet."""
    traceparent: str | None = None
    """Reserved: no submission says it yet."""


#: By name, in the order in which requests and documents list them.
OPTIONS: Final[Mapping[str, Option]] = MappingProxyType(
    {each.name: each.metadata["option"] for each in fields(NewJob) if "option" in each.metadata}
)
