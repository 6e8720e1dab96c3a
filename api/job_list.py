"""``GET /v1/jobs``: live and finished jobs in one list, newest first."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator

from api import documents
from api.auth import AsCaller
from api.paging import page_token as token_after
from api.paging import read_page_token
from api.parameters import refused
from api.rendering import job, page, respond
from api.services import services_of
from api.times import Time
from db import queries
from db.queries import JobFilter
from db.states import Status

router = APIRouter(tags=["jobs"])


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not hold a NUL character")
    return text


Text = Annotated[str, Query(max_length=1000), AfterValidator(_no_nul)]


@router.get("/v1/jobs", operation_id="listJobs", **documents.LIST_JOBS)
async def list_jobs(
    request: Request,
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
    page_size: Annotated[int, Query(ge=1, le=500, description="Most jobs of one page.")] = 50,
    page_token: Annotated[Text | None, Query(description="next_page_token of the page before.")] = None,
) -> Response:
    """List jobs, live and finished, newest first; without payloads and results."""
    before = None if page_token is None else read_page_token(page_token)
    wanted = JobFilter(
        statuses=frozenset(status),
        type=type,
        queue=queue,
        owner=owner if caller.sees_all else caller.owner,
        tags=_tags(tag),
        created_after=created_after,
        created_before=created_before,
        parent_id=parent_id,
    )
    if owner is not None and not caller.sees(owner):
        return respond(page([]))
    rows = await services_of(request).threads.run(
        # One more than the page holds tells whether there is another.
        lambda connection: queries.list_jobs(connection, wanted, limit=page_size + 1, before=before)
    )
    shown = rows[:page_size]
    following = token_after(shown[-1]["id"]) if len(rows) > page_size else None
    headers = None if following is None else {"Link": _link(request, following)}
    return respond(page([job(row, result=False) for row in shown], following), headers=headers)


def _tags(given: list[str]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for text in given:
        key, colon, value = text.partition(":")
        if not colon or not key:
            raise refused("tag", "must be key:value")
        if tags.setdefault(key, value) != value:
            raise refused("tag", f"asks for two values of {key!r}; a job has one")
    return tags


def _link(request: Request, following: str) -> str:
    others = [(name, value) for name, value in request.query_params.multi_items() if name != "page_token"]
    return f'<{request.url.path}?{urlencode([*others, ("page_token", following)])}>; rel="next"'
