"""The API on a database of its own, with job types made for these tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, Field

from callboard.actors.types.registry import Registry, job
from callboard.api.app import create_app
from callboard.api.auth.caller import Authenticate
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from tests.support.serving import Served, caller_of_headers, serving

Serve = Callable[..., Served]


class Item(BaseModel):
    name: str


class Order(BaseModel):
    """What test.typed takes."""

    customer: str
    count: int = Field(1, ge=0)
    items: list[Item] = []


def _registry() -> Registry:
    registry = Registry()

    @job("test.job", into=registry, example={"n": 1})
    def plain(payload: Any) -> Any:
        """Take anything.

        Return it, too.
        """
        return payload

    @job(
        "test.typed", queue="orders", priority=7, max_retries=2, highest_max_retries=5, time_limit=30,
        highest_time_limit=60, into=registry,
    )  # fmt: skip
    def typed(payload: Order) -> Item:
        return Item(name=payload.customer)

    @job("team/report.pdf:v2", into=registry)
    def slashed(payload: dict[str, int]) -> None:
        pass

    return registry


@pytest.fixture
def registry() -> Registry:
    return _registry()


@pytest.fixture
def serve(settings: Settings, registry: Registry, tmp_path: Path) -> Iterator[Serve]:
    """Serve the API; keyword arguments change settings. By default the caller is in headers."""
    with ExitStack() as stack:

        def serve(
            database: Database | None = None, authenticate: Authenticate = caller_of_headers, **changes: Any
        ) -> Served:
            files_url = (tmp_path / "files").as_uri()
            changed = settings.model_copy(update={"files_url": files_url, **changes})
            app = create_app(changed, registry, database=database, authenticate=authenticate)
            return stack.enter_context(serving(app))

        yield serve


@pytest.fixture
def api(serve: Serve) -> Served:
    return serve()


@pytest.fixture
def client(api: Served) -> httpx.Client:
    return api.client


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Return the problem in the body, which must have this status and code."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["code"] == code
    assert body["type"] == f"/problems/{code}"
    assert body["instance"] == answer.url.path
    assert body["title"]
    assert body["detail"]
    return body


@pytest.fixture
def as_problem() -> Callable[[httpx.Response, int, str], dict[str, Any]]:
    return problem
