"""``respond_async`` without a Callboard: what is refused at decoration, and what is answered when nobody is there."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any

import httpx
import pytest
import uvicorn
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    FastAPI,
    File,
    Header,
    Request,
    Response,
    UploadFile,
)
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.routing import APIRoute
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel, SecretStr

from callboard import respond_async
from callboard.actors.types.registry import Registry
from callboard.db.errors import ConfigurationError

NOBODY = "http://127.0.0.1:1"
oauth2 = OAuth2PasswordBearer("token")


@contextmanager
def serving(app: FastAPI) -> Iterator[httpx.Client]:
    """Serve an application with its lifespan, until the end of the block."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        host, port = listening.getsockname()
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            with httpx.Client(base_url=f"http://{host}:{port}", timeout=30) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


def ask(app: FastAPI, method: str, path: str, **options: Any) -> httpx.Response:
    """Ask an application that nobody has started, in an event loop of its own."""

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
            return await client.request(method, path, **options)

    return asyncio.run(send())


class Item(BaseModel):
    name: str
    price: SecretStr | None = None


class Thing: ...


def thing_of(request: Request) -> Thing:
    return Thing()


async def awaited() -> int:
    return 1


def with_request(request: Request) -> None: ...
def with_response(response: Response) -> None: ...
def with_tasks(tasks: BackgroundTasks) -> None: ...
def with_upload(upload: UploadFile) -> None: ...
def with_bytes(upload: Annotated[bytes, File()]) -> None: ...
def with_cookie(session: Annotated[str, Cookie()]) -> None: ...
def with_authorization(authorization: Annotated[str, Header()]) -> None: ...
def with_token(token: Annotated[str, Depends(oauth2)]) -> None: ...
def with_object(thing: Annotated[Thing, Depends(thing_of)]) -> None: ...
def with_untold(thing=Depends(thing_of)) -> None: ...  # type: ignore[no-untyped-def]  # noqa: B008
def with_awaited(number: Annotated[int, Depends(awaited)]) -> None: ...


@pytest.mark.parametrize(
    ("function", "parameter", "why"),
    [
        (with_request, "request", "is the request"),
        (with_response, "response", "is the response"),
        (with_tasks, "tasks", "is for what follows the response"),
        (with_upload, "upload", "is an uploaded file"),
        (with_bytes, "upload", "is an uploaded file"),
        (with_cookie, "session", "is a cookie"),
        (with_authorization, "authorization", "is the header 'authorization', a secret"),
        (with_token, "token", "is a credential of the request"),
        (with_object, "thing", "is of a type that has no JSON form"),
        (with_untold, "thing", "depends on the request and says no type"),
        (with_awaited, "number", "depends on an async function"),
    ],
)
def test_what_no_worker_can_have_is_refused(function: Callable[..., Any], parameter: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=f"parameter {parameter!r} {why}") as caught:
        respond_async(FastAPI(), into=Registry())(function)
    assert repr(function.__qualname__) in str(caught.value)
    assert __file__ in str(caught.value)


async def stream() -> AsyncIterator[bytes]:
    yield b""


def test_other_mistakes_are_told() -> None:
    app = FastAPI()
    with pytest.raises(ConfigurationError, match=r"'stream'.*yields its answer"):
        respond_async(app)(stream)
    with pytest.raises(ConfigurationError, match="goes below the line that makes the route"):
        respond_async(app)(app.post("/")(awaited))
    with pytest.raises(ConfigurationError, match="no name under which a worker finds it"):
        respond_async(app)(lambda: None)


class App:
    """An application with one endpoint that counts its calls."""

    def __init__(self, router: FastAPI | APIRouter, **options: Any) -> None:
        self.registry = Registry()
        self.calls: list[str] = []

        @router.post("/items", status_code=201)
        @respond_async(router, name="add", into=self.registry, **options)
        def add(item: Item, number: int = 1) -> Item | None:
            self.calls.append(item.name)
            return item

        @router.get("/stream")
        @respond_async(router, name="stream", into=self.registry, **options)
        def streamed() -> StreamingResponse:
            return StreamingResponse(iter([b"a"]))


def test_without_callboard_it_answers_as_before_to_who_wants_no_job() -> None:
    app = FastAPI()
    made = App(app, url=NOBODY)
    with serving(app) as client:
        response = client.post("/items", json={"name": "a"})
    assert (response.status_code, response.json()["name"]) == (201, "a")
    assert made.calls == ["a"]


def test_without_callboard_who_wants_a_job_hears_so() -> None:
    app = FastAPI()
    made = App(app, url=NOBODY)
    with serving(app) as client:
        response = client.post("/items?async_mode=true", json={"name": "a"})
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["retry-after"] == "2"
    assert list(response.json()) == ["type", "title", "status", "detail", "instance", "code"]
    assert response.json()["type"] == f"{NOBODY}/problems/unavailable"
    assert (response.json()["title"], response.json()["instance"]) == ("Unavailable", "/items")
    assert made.calls == []


def test_without_callboard_the_fallback_answers_and_says_so() -> None:
    app = FastAPI()
    made = App(app, url=NOBODY, fallback="inline")
    response = ask(app, "POST", "/items", json={"name": "a"}, headers={"Prefer": "respond-async"})
    assert (response.status_code, response.json()["name"]) == (201, "a")
    assert response.headers["Callboard-Fallback"] == "inline"
    assert made.calls == ["a"]
    assert "Callboard-Fallback" not in ask(app, "POST", "/items", json={"name": "a"}).headers
    response = ask(app, "GET", "/stream", headers={"Prefer": "respond-async"})
    assert (response.text, response.headers["Callboard-Fallback"]) == ("a", "inline")


@pytest.mark.parametrize(
    ("refusal", "of", "answered", "code"),
    [
        (401, "unauthenticated", 502, "job-refused"),
        (422, "invalid-input", 502, "job-refused"),
        (429, "quota-exceeded", 429, "quota-exceeded"),
        (413, "too-large", 413, "too-large"),
    ],
)
def test_what_callboard_refuses_is_the_applications_fault_unless_it_is_a_limit(
    refusal: int, of: str, answered: int, code: str
) -> None:
    callboard, app = FastAPI(), FastAPI()

    @callboard.post("/v1/jobs")
    def refuse() -> JSONResponse:
        # More than a client waits for.
        return JSONResponse({"title": "No", "code": of}, refusal, {"Retry-After": "90"})

    with serving(callboard) as server:
        made = App(app, url=str(server.base_url), fallback="inline")
        # Twice, as the second comes in another event loop, where the first one's connection is of no use.
        for _ in range(2):
            response = ask(app, "POST", "/items?async_mode=true", json={"name": "a"})
            assert (response.status_code, response.json()["code"]) == (answered, code)
    assert response.headers.get("Retry-After") == ("90" if answered == refusal else None)
    assert made.calls == []


def test_an_argument_that_cannot_travel_is_no_job_and_no_call() -> None:
    app = FastAPI()
    made = App(app, url=NOBODY, fallback="inline")
    with pytest.raises(TypeError, match="parameter 'item'") as caught:
        ask(app, "POST", "/items?async_mode=true", json={"name": "a", "price": "secret"})
    assert "secret'" not in str(caught.value)
    assert made.calls == []


def test_settings_that_do_not_fit_stop_the_application_at_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_URL", "nowhere")
    app = FastAPI()
    App(app)

    async def start() -> None:
        async with app.router.lifespan_context(app):
            pass

    with pytest.raises(ConfigurationError, match="not that of a server"):
        asyncio.run(start())


def test_the_applications_own_lifespan_and_routes_stay() -> None:
    log: list[str] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, str]]:
        log.append("started")
        yield {"kept": "state"}
        log.append("stopped")

    class OwnRoute(APIRoute):
        pass

    app = FastAPI(lifespan=lifespan)
    router = APIRouter(prefix="/sub", route_class=OwnRoute)
    App(router, url=NOBODY, fallback="inline")

    @router.get("/state")
    def state(request: Request) -> str:
        return str(request.state.kept)

    app.include_router(router)
    assert all(isinstance(route, OwnRoute) for route in router.routes)
    with serving(app) as client:
        assert client.get("/sub/state").json() == "state"
        response = client.post("/sub/items", json={"name": "a"}, headers={"Prefer": "respond-async"})
        assert response.headers["Callboard-Fallback"] == "inline"
    assert log == ["started", "stopped"]
    operations = app.openapi()["paths"]
    assert "202" in operations["/sub/items"]["post"]["responses"]
    assert "202" not in operations["/sub/state"]["get"]["responses"]


def test_an_answer_that_is_no_json_cannot_be_a_result() -> None:
    registry = App(FastAPI(), url=NOBODY).registry
    with pytest.raises(TypeError, match="StreamingResponse"):
        registry.get("stream").call({}, None)  # type: ignore[arg-type]


def test_dependencies_are_made_once_in_order_and_closed() -> None:
    log: list[str] = []

    def base() -> Any:
        log.append("base")
        yield "base"
        log.append("base closed")

    def left(base: str = Depends(base)) -> Any:
        yield f"left of {base}"
        log.append("left closed")

    class Right:
        def __call__(self, base: str = Depends(base)) -> str:
            return f"right of {base}"

    async def gone() -> Any:
        yield "async"
        log.append("async closed")

    app, registry = FastAPI(), Registry()

    @app.post("/sync")
    @respond_async(app, name="sync", into=registry, url=NOBODY)
    def sync(left: str = Depends(left), right: str = Depends(Right())) -> list[str]:
        log.append("called")
        return [left, right]

    @app.post("/async")
    @respond_async(app, name="async", into=registry, url=NOBODY)
    async def with_both(
        more: Annotated[list[int], Body()], left: str = Depends(left), gone: str = Depends(gone)
    ) -> Any:
        return [left, gone, more]

    assert registry.get("sync").call({}, None) == ["left of base", "right of base"]  # type: ignore[arg-type]
    assert log == ["base", "called", "left closed", "base closed"]
    log.clear()
    called = registry.get("async").call({"more": [1]}, None)  # type: ignore[arg-type]
    assert asyncio.run(called) == ["left of base", "async", [1]]
    assert log == ["base", "async closed", "left closed", "base closed"]
