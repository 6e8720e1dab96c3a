"""A decorator that lets an endpoint of a FastAPI application respond with a job, on request."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any, Literal, TypeVar, Unpack

import structlog
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute

from callboard.actors.types.http_errors import client_errors_are_final
from callboard.actors.types.options import JobOptions, fields_of
from callboard.actors.types.registry import JobType, Registry, registry
from callboard.actors.types.signatures import first_paragraph, source_of
from callboard.client import Problem, ServerUnavailable, ServerUnreachable
from callboard.db.errors import ConfigurationError
from callboard.integrations.fastapi import route
from callboard.integrations.fastapi.connection import Connection
from callboard.integrations.fastapi.dependencies import resolved, resolved_async
from callboard.integrations.fastapi.parameters import Parameters, read_parameters
from callboard.integrations.fastapi.responses import FALLBACK_HEADER, accepted, refused, unavailable, wants_job
from callboard.integrations.fastapi.results import Results

F = TypeVar("F", bound=Callable[..., Any])

_log = structlog.get_logger("callboard.integrations.fastapi")

# Names of parameters that no endpoint uses.
_REQUEST = "callboard_request"
_RESPONSE = "callboard_response"


def respond_async(
    app: FastAPI | APIRouter,
    *,
    name: str | None = None,
    fallback: Literal["inline"] | None = None,
    url: str | None = None,
    public_url: str | None = None,
    api_key: str | None = None,
    into: Registry = registry,
    **options: Unpack[JobOptions],
) -> Callable[[F], F]:
    """Let an endpoint respond with ``202`` and a job if a client asks for that. It goes below the route's decorator::

        @app.post("/reports")
        @callboard.respond_async(app)
        def build_report(order: Order, detailed: bool = False) -> Report: ...

    With ``?async_mode=true`` or ``Prefer: respond-async`` a job is submitted, which is durable when the response is
    sent. In it a worker calls the same function with the same validated arguments. Its result is the body that the
    response would have had. Without them the endpoint is not changed.

    The module must be in ``CALLBOARD_JOB_MODULES``, from which Callboard's api and workers import the job type.

    Args:
        app: the application, or router, that the endpoint belongs to.
        name: of the job type; the function's module and name if not given.
        fallback: ``"inline"`` runs the endpoint in the request if Callboard cannot be reached, with the header
            ``Callboard-Fallback`` in the response. If only Callboard's response was lost, the job exists as well. None:
            the response is ``503``.
        url: of Callboard; ``CALLBOARD_URL`` if not given.
        public_url: the URL of Callboard for clients, in ``Location`` and the links of the job; ``url`` if not given.
        api_key: ``CALLBOARD_API_KEY`` if not given.
        into: the registry that gets the job type.
        options: as for :func:`job`.

    Raises:
        ConfigurationError: no worker can call the function; the message has its name, the parameter and the reason.
    """
    router = app.router if isinstance(app, FastAPI) else app

    def decorate(function: F) -> F:
        owner = f"Endpoint {function.__qualname__!r} at {source_of(function)}"
        _check(function, router, owner)
        job_name = name or _name_of(function, owner)
        parameters = read_parameters(function, owner)
        connection = Connection.of(router, url, api_key, retry=fallback is None)
        is_async = inspect.iscoroutinefunction(function)

        async def inline(arguments: dict[str, Any]) -> Any:
            return await function(**arguments) if is_async else await run_in_threadpool(function, **arguments)

        @functools.wraps(function)
        async def endpoint(**arguments: Any) -> Any:
            request: Request = arguments.pop(_REQUEST)
            response: Response = arguments.pop(_RESPONSE)
            if not wants_job(request):
                return await inline(arguments)
            payload = parameters.payload(arguments)
            try:
                job = await connection.submit(job_name, payload)
            except (ServerUnreachable, ServerUnavailable) as error:
                _log.warning("job_not_submitted", job_type=job_name, fallback=fallback, reason=str(error))
                if fallback is None:
                    return unavailable(request, public_url or connection.address)
                returned = await inline(arguments)
                (returned if isinstance(returned, Response) else response).headers[FALLBACK_HEADER] = "inline"
                return returned
            except Problem as problem:
                _log.error("job_refused", job_type=job_name, status=problem.status, reason=str(problem))
                return refused(request, problem, public_url or connection.address)
            return accepted(request, job, public_url or connection.address)

        def add_job_type(of_route: APIRoute) -> None:
            into.add(_job_type(job_name, function, parameters, Results(of_route), options))

        endpoint.__signature__ = _signature(function)  # type: ignore[attr-defined]
        route.use_in(router)
        route.mark(endpoint, add_job_type)
        return typing.cast("F", endpoint)

    return decorate


def _check(function: Callable[..., Any], router: APIRouter, owner: str) -> None:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError(f"{owner}: an endpoint that yields its answer has no result for a job.")
    if any(getattr(each, "endpoint", None) is function for each in router.routes):
        raise ConfigurationError(f"{owner}: @respond_async goes below the line that makes the route, not above it.")


def _name_of(function: Callable[..., Any], owner: str) -> str:
    if function.__module__ == "__main__" or "<" in function.__qualname__:
        raise ConfigurationError(
            f"{owner}: it has no name under which a worker finds it. Give one: respond_async(…, name='reports.build')."
        )
    return f"{function.__module__}.{function.__qualname__}"


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    """Return the endpoint's signature with evaluated annotations, and with the parameters of the wrapper."""
    signature = inspect.signature(function)
    hints = typing.get_type_hints(function, include_extras=True)
    own = [each.replace(annotation=hints.get(each.name, each.annotation)) for each in signature.parameters.values()]
    added = [
        inspect.Parameter(_REQUEST, inspect.Parameter.KEYWORD_ONLY, annotation=Request),
        inspect.Parameter(_RESPONSE, inspect.Parameter.KEYWORD_ONLY, annotation=Response),
    ]
    return signature.replace(
        parameters=[*own, *added], return_annotation=hints.get("return", signature.return_annotation)
    )


def _job_type(
    name: str, function: Callable[..., Any], parameters: Parameters, results: Results, options: JobOptions
) -> JobType:
    def call(payload: dict[str, Any]) -> Any:
        arguments = parameters.arguments.of(payload)
        with client_errors_are_final(), resolved(parameters.resolved_again) as again:
            return results.body(function(**arguments, **again))

    async def call_async(payload: dict[str, Any]) -> Any:
        arguments = parameters.arguments.of(payload)
        with client_errors_are_final():
            async with resolved_async(parameters.resolved_again) as again:
                return results.body(await function(**arguments, **again))

    is_async = inspect.iscoroutinefunction(function)
    source = source_of(function)
    fields: dict[str, Any] = {
        "description": first_paragraph(function),
        **fields_of(options, f"Job type {name!r} at {source}"),
    }
    return JobType(
        name=name,
        function=call_async if is_async else call,
        payload=parameters.arguments.adapter,
        result=results.adapter,
        passes_run=False,
        is_async=is_async,
        source=source,
        **fields,
    )
