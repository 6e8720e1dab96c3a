"""FastAPI's dependencies without a request: which of them need none, and their values for one call."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from typing import Any

from fastapi.concurrency import contextmanager_in_threadpool, run_in_threadpool
from fastapi.dependencies.models import Dependant


def needs_request(dependant: Dependant) -> bool:
    """Return whether the dependency, or one of its own, uses the request or the response."""
    return (
        bool(
            dependant.path_params
            or dependant.query_params
            or dependant.header_params
            or dependant.cookie_params
            or dependant.body_params
            or dependant.request_param_name
            or dependant.websocket_param_name
            or dependant.http_connection_param_name
            or dependant.response_param_name
            or dependant.background_tasks_param_name
            or dependant.security_scopes_param_name
        )
        or any(needs_request(each) for each in dependant.dependencies)
    )  # fmt: skip


def is_async(dependant: Dependant) -> bool:
    """Return whether the dependency, or one of its own, has to be awaited."""
    call = _code_of(dependant)
    own = inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call)
    return own or any(is_async(each) for each in dependant.dependencies)


@contextmanager
def resolved(dependants: Sequence[Dependant]) -> Iterator[dict[str, Any]]:
    """Yield the values of sync dependencies by parameter, and run their exit code afterwards."""
    cache: dict[Any, Any] = {}

    def value_of(dependant: Dependant) -> Any:
        call = _callable_of(dependant)
        if dependant.use_cache and call in cache:
            return cache[call]
        arguments = {str(each.name): value_of(each) for each in dependant.dependencies}
        if inspect.isgeneratorfunction(_code_of(dependant)):
            value = stack.enter_context(contextmanager(call)(**arguments))
        else:
            value = call(**arguments)
        return cache.setdefault(call, value) if dependant.use_cache else value

    with ExitStack() as stack:
        yield {str(dependant.name): value_of(dependant) for dependant in dependants}


@asynccontextmanager
async def resolved_async(dependants: Sequence[Dependant]) -> AsyncIterator[dict[str, Any]]:
    """As :func:`resolved`, for any dependencies. Sync ones run in a thread, as FastAPI does it."""
    cache: dict[Any, Any] = {}

    async def value_of(dependant: Dependant) -> Any:
        call, code = _callable_of(dependant), _code_of(dependant)
        if dependant.use_cache and call in cache:
            return cache[call]
        arguments = {str(each.name): await value_of(each) for each in dependant.dependencies}
        if inspect.isasyncgenfunction(code):
            value = await stack.enter_async_context(asynccontextmanager(call)(**arguments))
        elif inspect.isgeneratorfunction(code):
            opened = contextmanager_in_threadpool(contextmanager(call)(**arguments))
            value = await stack.enter_async_context(opened)
        elif inspect.iscoroutinefunction(code):
            value = await call(**arguments)
        else:
            value = await run_in_threadpool(call, **arguments)
        return cache.setdefault(call, value) if dependant.use_cache else value

    async with AsyncExitStack() as stack:
        yield {str(dependant.name): await value_of(dependant) for dependant in dependants}


def _callable_of(dependant: Dependant) -> Callable[..., Any]:
    assert dependant.call is not None  # noqa: S101 - every dependency has a callable
    return dependant.call


def _code_of(dependant: Dependant) -> Callable[..., Any]:
    """Return the function of a callable; of an object, its ``__call__``."""
    call = _callable_of(dependant)
    return call if inspect.isroutine(call) or inspect.isclass(call) else type(call).__call__
