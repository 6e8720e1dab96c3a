"""Which jobs are meant: the one declaration of the filters of lists, streams, exports and bulk actions.

Each filter is a field of :class:`JobFilter` with a :class:`Condition`, which says it twice: in SQL, and in Python of a
row that is here already. From the fields come the query parameters, the filter of bulk actions and the command line's
flags; a test compares the clients' with them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, final
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Select, Table, cast, literal
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from callboard.db.models.job_view import JobView
from callboard.db.rules.ids import created_at_of, first_id
from callboard.db.rules.states import Status

Columns = Mapping[str, ColumnElement[Any]] | ReadOnlyColumnCollection[str, Column[Any]]

_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Condition(ABC):
    """What one filter asks of a job."""

    parameter: str
    """Its name in queries and requests."""
    doc: str
    """A sentence for users."""
    doc_of_query: str | None = None
    """The sentence for the query parameter, where it says more."""
    column: str = ""
    """Of ``jobs``, ``job_history`` and job views."""

    @abstractmethod
    def sql(self, columns: Columns, value: Any) -> list[ColumnElement[bool]]:
        """Return it for rows with these columns."""

    @abstractmethod
    def holds(self, row: JobView, value: Any) -> bool:
        """Return whether it holds of a row."""


@final
class Equals(Condition):
    """The column has the value."""

    __slots__ = ()

    def sql(self, columns: Columns, value: Any) -> list[ColumnElement[bool]]:
        return [columns[self.column] == value]

    def holds(self, row: JobView, value: Any) -> bool:
        return bool(row[self.column] == value)


@final
class OneOf(Condition):
    """The column has one of the values."""

    __slots__ = ()

    def sql(self, columns: Columns, value: Any) -> list[ColumnElement[bool]]:
        return [columns[self.column].in_(sorted(value))]

    def holds(self, row: JobView, value: Any) -> bool:
        return row[self.column] in value


@final
class HasTags(Condition):
    """The column has all these tags."""

    __slots__ = ()

    def sql(self, columns: Columns, value: Any) -> list[ColumnElement[bool]]:
        return [columns[self.column].contains(cast(literal(dict(value), JSONB), JSONB))]

    def holds(self, row: JobView, value: Any) -> bool:
        return bool(value.items() <= row[self.column].items())


@final
class CreatedAfter(Condition):
    """``created_at`` is this time or later."""

    __slots__ = ()

    def sql(self, columns: Columns, value: Any) -> list[ColumnElement[bool]]:
        # The id says the same to the millisecond: partitions are found by the time, rows in them by the id.
        return [columns["created_at"] >= value, columns["id"] >= first_id(value)]

    def holds(self, row: JobView, value: Any) -> bool:
        return bool(row["created_at"] >= value)


@final
class CreatedBefore(Condition):
    """``created_at`` is before this time."""

    __slots__ = ()

    def sql(self, columns: Columns, value: Any) -> list[ColumnElement[bool]]:
        return [columns["created_at"] < value, columns["id"] < first_id(value + _MILLISECOND)]

    def holds(self, row: JobView, value: Any) -> bool:
        return bool(row["created_at"] < value)


@dataclass(frozen=True)
class JobFilter:
    """Which jobs are meant; a field that is None or empty does not narrow it."""

    statuses: frozenset[Status] = field(
        default=frozenset(),
        metadata={
            "condition": OneOf(
                "status", "In one of these states.", "In one of these states; repeatable.", column="status"
            )
        },
    )
    type: str | None = field(default=None, metadata={"condition": Equals("type", "Of this type.", column="type")})
    queue: str | None = field(default=None, metadata={"condition": Equals("queue", "In this queue.", column="queue")})
    owner: str | None = field(
        default=None,
        metadata={
            "condition": Equals(
                "owner",
                "Of this owner.",
                "Of this owner; for those who see the jobs of others.",
                column="owner",
            )
        },
    )
    tags: Mapping[str, str] | None = field(
        default=None,
        metadata={
            "condition": HasTags(
                "tag",
                "With all these tags, as key:value.",
                "With this tag, as key:value; repeatable: with all.",
                column="tags",
            )
        },
    )
    created_after: datetime | None = field(
        default=None, metadata={"condition": CreatedAfter("created_after", "Made at this time or later.")}
    )
    created_before: datetime | None = field(
        default=None, metadata={"condition": CreatedBefore("created_before", "Made before this time.")}
    )
    parent_id: UUID | None = field(
        default=None, metadata={"condition": Equals("parent_id", "Children of this job.", column="parent_id")}
    )

    @cached_property
    def conditions(self) -> Sequence[tuple[Condition, Any]]:
        """What the filter asks, each with its value."""
        given = ((condition, getattr(self, name)) for name, condition in CONDITIONS.items())
        return [(condition, value) for condition, value in given if value is not None and value not in _EMPTY]

    def includes(self, row: JobView) -> bool:
        """Return whether the job is one of those that ``reads.lists.list_jobs`` would show."""
        return all(condition.holds(row, value) for condition, value in self.conditions)


#: By the fields of :class:`JobFilter`, in the order in which documents list them.
CONDITIONS: Final[Mapping[str, Condition]] = MappingProxyType(
    {each.name: each.metadata["condition"] for each in fields(JobFilter)}
)
_EMPTY: Final[tuple[object, ...]] = (frozenset(), {})


def narrowed(statement: Select[Any], table: Table, wanted: JobFilter, before: UUID | None) -> Select[Any]:
    """Return the statement about ``table`` for the jobs of the filter; those older than the id ``before``."""
    if before is not None:
        # created_at says the same as the id, and lets the planner leave out later partitions.
        statement = statement.where(table.c.id < before, table.c.created_at <= created_at_of(before))
    return statement.where(*conditions_of(table.c, wanted))


def conditions_of(columns: Columns, wanted: JobFilter) -> list[ColumnElement[bool]]:
    """Return what the filter asks of rows with these columns: of live or finished jobs, or of views of them."""
    return [part for condition, value in wanted.conditions for part in condition.sql(columns, value)]
