"""A FastAPI application of somebody's, some of whose endpoints run as jobs on request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, FastAPI, Header, HTTPException, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

import callboard
from callboard import Run, respond_async

running: list[str] = []


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, str]]:
    running.append("own")
    yield {"state": "own"}
    running.clear()


app = FastAPI(lifespan=lifespan)
team = APIRouter(prefix="/team", tags=["team"])


class Line(BaseModel):
    article: str
    price: Decimal = Decimal("9.90")


class Order(BaseModel):
    customer: str = Field(alias="customerName")
    lines: list[Line] = []
    due: date | None = None


class User(BaseModel):
    name: str


class Report(BaseModel):
    secret: str = "never sent"
    seen: dict[str, Any]
    note: str | None = None


class Session:
    """Stands for a database session: made without the request, and closed after the call."""

    closed = False

    def describe(self) -> str:
        return f"open={not self.closed}"


def session() -> Iterator[Session]:
    opened = Session()
    yield opened
    opened.closed = True


async def clock() -> AsyncIterator[str]:
    yield "noon"


def current_user(x_user: Annotated[str, Header()] = "nobody") -> User:
    return User(name=x_user)


@app.post("/reports/{region}", response_model=Report, response_model_exclude={"secret"}, response_model_by_alias=True)
@respond_async(app, queue="shop")
def build_report(
    region: Literal["north", "south"],
    order: Order,
    session: Annotated[Session, Depends(session)],
    user: Annotated[User, Depends(current_user)],
    limit: Annotated[int, Query(gt=0, alias="max")] = 10,
    years: list[int] = Query([2026]),  # noqa: B008 - the older way to write it
    x_case: Annotated[str | None, Header()] = None,
) -> dict[str, Any]:
    """Build a report.

    Not shown.
    """
    seen = {
        "region": region,
        "order": order.model_dump(mode="json", exclude_unset=True),
        "session": session.describe(),
        "user": repr(user),
        "limit": limit,
        "years": years,
        "x_case": x_case,
    }
    return {"secret": "s", "seen": seen}


@team.patch("/members/{member_id}", response_model_exclude_unset=True)
@respond_async(team, max_retries=1, min_backoff=0.1, max_backoff=0.1)
async def change_member(
    member_id: int, now: Annotated[str, Depends(clock)], fields: Annotated[dict[str, Any], Body(embed=True)]
) -> Report:
    if member_id == 404:
        raise HTTPException(404, "No such member.")
    if member_id == 503:
        raise HTTPException(503, "The directory is away.")
    return Report(seen={"member_id": member_id, "now": now, "fields": fields})


@app.get("/plain")
@respond_async(app)
def plain(kind: str = "json") -> Any:
    return JSONResponse({"kind": kind}, 201) if kind == "json" else JSONResponse({"why": kind}, 410)


app.include_router(team)


def extract(text: str, run: Run, patterns: list[str] = Body(["a"]), *, limit: int | None = None) -> list[str]:  # noqa: B008
    """Find texts."""
    run.progress(1, 1)
    if not text:
        raise HTTPException(422, "Nothing to look at.")
    return [pattern for pattern in patterns if pattern in text][:limit]


async def shout(text: str) -> str:
    return text.upper()


callboard.register("/api/v1/extract", "tests.clients.shop:extract", queue="shop", max_retries=5)
callboard.register("/api/v1/shout", shout)
