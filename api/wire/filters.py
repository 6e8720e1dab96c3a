"""Which jobs a list or a stream shows: its query parameters, and the same choice for rows that are here already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query
from pydantic import AfterValidator

from callboard.api.auth.caller import AsCaller
from callboard.api.wire.parameters import refused
from callboard.api.wire.times import Time
from callboard.db.errors import InvalidInput
from callboard.db.models.job_view import JobView
from callboard.db.reads.jobs import JobFilter
from callboard.db.rules.states import Status


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not hold a NUL character")
    return text


Text = Annotated[str, Query(max_length=1000), AfterValidator(_no_nul)]


async def _job_filter(
    caller: AsCaller,
    *,
    status: Annotated[list[Status], Query(description="In one of these states; repeatable.")] = [],  # noqa: B006
    type: Annotated[Text | None, Query(description="Of this type.")] = None,  # noqa: A002
    queue: Annotated[Text | None, Query(description="In this queue.")] = None,
    owner: Annotated[Text | None, Query(description="Of this owner; for those who see the jobs of others.")] = None,
    tag: Annotated[list[Text], Query(description="With this tag, as key:value; repeatable: with all.")] = [],  # noqa: B006
    created_after: Annotated[Time | None, Query(description="Made at this time or later.")] = None,
    created_before: Annotated[Time | None, Query(description="Made before this time.")] = None,
    parent_id: Annotated[UUID | None, Query(description="Children of this job.")] = None,
) -> JobFilter | None:
    if owner is not None and not caller.sees(owner):
        return None
    return JobFilter(
        statuses=frozenset(status),
        type=type,
        queue=queue,
        owner=owner if caller.sees_all else caller.owner,
        tags=tags_of(tag, lambda detail: refused("tag", detail)),
        created_after=created_after,
        created_before=created_before,
        parent_id=parent_id,
    )


AsFilter = Annotated[JobFilter | None, Depends(_job_filter)]
"""The jobs that the caller asks for and may see; None: none."""


def tags_of(given: list[str], refused: Callable[[str], InvalidInput]) -> dict[str, str]:
    """Return the tags that are written as ``key:value``.

    Raises:
        InvalidInput: that of ``refused``, which is given the detail: one is not, or two exclude each other.
    """
    tags: dict[str, str] = {}
    for text in given:
        key, colon, value = text.partition(":")
        if not colon or not key:
            raise refused("must be key:value")
        if tags.setdefault(key, value) != value:
            raise refused(f"asks for two values of {key!r}; a job has one")
    return tags


def includes(wanted: JobFilter, row: JobView) -> bool:
    """Whether the job is one of those that ``db.reads.lists.list_jobs`` would show."""
    return (
        wanted.owner in (None, row["owner"])
        and wanted.type in (None, row["type"])
        and wanted.queue in (None, row["queue"])
        and wanted.parent_id in (None, row["parent_id"])
        and (not wanted.statuses or row["status"] in wanted.statuses)
        and (not wanted.tags or wanted.tags.items() <= row["tags"].items())
        and (wanted.created_after is None or row["created_at"] >= wanted.created_after)
        and (wanted.created_before is None or row["created_at"] < wanted.created_before)
    )
