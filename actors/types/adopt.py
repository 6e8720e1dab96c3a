"""Existing Dramatiq actors as job types, without changing them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter
from pydantic_core import PydanticCustomError

from callboard.actors.types.bounds import DEFAULT_PRIORITY, MOST_RETRIES, Isolation
from callboard.actors.types.registry import JobType, Registry, registry
from callboard.actors.types.signatures import first_paragraph, source_of
from callboard.actors.types.sizes import bytes_of
from callboard.db.errors import ConfigurationError

#: What Dramatiq's middleware does with an actor that says nothing. Times are milliseconds, as there.
DRAMATIQ_DEFAULTS: Final[Mapping[str, float]] = {
    "max_retries": 20,
    "min_backoff": 15_000,
    "max_backoff": 7 * 86_400_000,
    "time_limit": 600_000,
}

_FOLLOW_UP: Final = (
    "Call it at the end of this function, or have the client submit its job when this one is done "
    "(GET /v1/jobs/{id}?wait=60, or the stream of its events)"
)
#: Options of Dramatiq's middleware, and of its schedulers, that no job can have, and what to use instead.
_REFUSED: Final[Mapping[str, str]] = {
    "max_age": "Set expires_at in each submission: a job that has not started by then ends as expired",
    "on_success": _FOLLOW_UP,
    "on_failure": _FOLLOW_UP,
    "on_retry_exhausted": _FOLLOW_UP,
    "pipe_target": _FOLLOW_UP,
    "result_ttl": "Set result_ttl, in seconds, in each submission",
    "periodic": "Have cron, or a CronJob of Kubernetes, run 'callboard submit' at these times",
}


class DramatiqActor(Protocol):
    """The part of ``dramatiq.Actor`` that is used. A protocol, as the api describes job types without Dramatiq."""

    fn: Any
    actor_name: str
    queue_name: str
    priority: int
    options: dict[str, Any]


class ActorCall(BaseModel):
    """The arguments of an actor, as ``actor.send(*args, **kwargs)`` takes them."""

    model_config = ConfigDict(extra="forbid")

    args: list[Any] = []
    kwargs: dict[str, Any] = {}


def adopt(
    actor: DramatiqActor,
    *,
    name: str | None = None,
    priority: int | None = None,
    isolation: Isolation = "thread",
    memory_limit: int | str | None = None,
    into: Registry = registry,
) -> JobType:
    """Make a ``@dramatiq.actor`` a job type, named like the actor unless ``name`` says otherwise.

    Clients submit ``{"args": [...], "kwargs": {...}}``, which must fit the function's parameters. The actor's queue and
    options carry over, and where it has none, Dramatiq's defaults: ``max_retries`` (20), ``min_backoff``,
    ``max_backoff`` and ``time_limit`` (milliseconds there, seconds here), ``throws`` and ``retry_when``. Options of
    other middleware stay for that to read.

    Args:
        actor: as ``@dramatiq.actor`` returns it; its function may be an ``async def``.
        name: the ``type`` that clients submit.
        priority: 0 to 9, higher first (default 5). Required of an actor with a priority: in Dramatiq, lower is first.
        isolation, memory_limit: as for :func:`job`.
        into: the registry.

    Raises:
        ConfigurationError: the name is taken, or an option is out of range or means nothing here; the message says what
            to use instead.
    """
    function = _function_of(actor.fn)
    source = source_of(function)
    own_priority = getattr(actor, "priority", 0)
    if own_priority != 0 and priority is None:
        _refuse(
            actor,
            source,
            f"priority={own_priority!r}",
            "In Dramatiq lower numbers go first, in jobs higher ones. Write adopt(actor, priority=…), 0 to 9",
        )
    options = {name: value for name, value in actor.options.items() if value is not None or name == "max_retries"}
    for option, instead in _REFUSED.items():
        if option in options:
            _refuse(actor, source, f"{option}={options[option]!r}", instead)
    limits = {**DRAMATIQ_DEFAULTS, **options}
    if limits["max_retries"] is None:
        _refuse(actor, source, "max_retries=None", f"No job is retried for ever: write a number up to {MOST_RETRIES}")
    throws = options.get("throws", ())
    job_type = JobType(
        name=name or actor.actor_name,
        function=function,
        queue=actor.queue_name,
        priority=DEFAULT_PRIORITY if priority is None else priority,
        max_retries=limits["max_retries"],
        # As there, the longest backoff bounds the shortest.
        min_backoff=min(limits["min_backoff"], limits["max_backoff"]) / 1000,
        max_backoff=min(limits["max_backoff"], DRAMATIQ_DEFAULTS["max_backoff"]) / 1000,
        time_limit=limits["time_limit"] / 1000,
        throws=(throws,) if isinstance(throws, type) else tuple(throws),
        retry_when=options.get("retry_when"),
        isolation=isolation,
        memory_limit=None if memory_limit is None else bytes_of(memory_limit, f"adopt({actor.actor_name!r})"),
        payload=_calls_of(function),
        result=TypeAdapter(Any),
        description=first_paragraph(function),
        example=None,
        spreads_payload=True,
        passes_run=False,
        is_async=inspect.iscoroutinefunction(function),
        actor_options=options,
        source=source,
    )
    into.add(job_type)
    return job_type


def _function_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function as it was written: Dramatiq wraps an ``async def``, for an event loop that only it starts."""
    wrapped = getattr(function, "__wrapped__", None)
    is_dramatiqs = getattr(function, "__globals__", {}).get("__name__") == "dramatiq.asyncio"
    return wrapped if is_dramatiqs and wrapped is not None else function


def _calls_of(function: Callable[..., Any]) -> TypeAdapter[Any]:
    """Return what validates the arguments of a call against the function's parameters. Types are not looked at."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # of some functions in C nothing is known
        return TypeAdapter(ActorCall)

    def fit(call: ActorCall) -> ActorCall:
        try:
            signature.bind(*call.args, **call.kwargs)
        except TypeError as error:
            raise PydanticCustomError(
                "arguments",
                "The arguments do not fit {signature}: {reason}",
                {"signature": str(signature), "reason": str(error)},
            ) from None
        return call

    return TypeAdapter(Annotated[ActorCall, AfterValidator(fit)])


def _refuse(actor: DramatiqActor, source: str, option: str, instead: str) -> None:
    raise ConfigurationError(f"Actor {actor.actor_name!r} at {source}: {option} means nothing to a job. {instead}.")
