"""Existing Dramatiq actors as job types, without changing them."""

from __future__ import annotations

import inspect
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, TypeAdapter

from callboard.actors.types.bounds import (
    DEFAULT_MAX_BACKOFF,
    DEFAULT_MAX_RETRIES,
    DEFAULT_MIN_BACKOFF,
    DEFAULT_TIME_LIMIT,
    Isolation,
)
from callboard.actors.types.registry import JobType, Registry, registry
from callboard.actors.types.signatures import first_paragraph, source_of
from callboard.actors.types.sizes import bytes_of


class DramatiqActor(Protocol):
    """The part of ``dramatiq.Actor`` that is used. A protocol, as the api describes job types without Dramatiq."""

    fn: Any
    actor_name: str
    queue_name: str
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
    isolation: Isolation = "thread",
    memory_limit: int | str | None = None,
    into: Registry = registry,
) -> JobType:
    """Make a ``@dramatiq.actor`` a job type, named like the actor unless ``name`` says otherwise.

    Clients submit ``{"args": [...], "kwargs": {...}}``. The actor's options carry over: ``max_retries``,
    ``min_backoff``, ``max_backoff`` and ``time_limit`` (milliseconds there, seconds here), ``throws`` and
    ``retry_when``. Dramatiq's ``priority`` orders actors inside a worker, unlike a job's, and is ignored.
    ``isolation`` and ``memory_limit`` are as for :func:`job`.

    Raises:
        ConfigurationError: the name is taken, or an option is out of range.
    """
    options = actor.options
    throws = options.get("throws") or ()
    max_retries = options.get("max_retries")
    job_type = JobType(
        name=name or actor.actor_name,
        function=actor.fn,
        queue=actor.queue_name,
        max_retries=DEFAULT_MAX_RETRIES if max_retries is None else max_retries,
        min_backoff=_seconds(options.get("min_backoff"), DEFAULT_MIN_BACKOFF),
        max_backoff=_seconds(options.get("max_backoff"), DEFAULT_MAX_BACKOFF),
        time_limit=_seconds(options.get("time_limit"), DEFAULT_TIME_LIMIT),
        throws=(throws,) if isinstance(throws, type) else tuple(throws),
        retry_when=options.get("retry_when"),
        isolation=isolation,
        memory_limit=None if memory_limit is None else bytes_of(memory_limit, f"adopt({actor.actor_name!r})"),
        payload=TypeAdapter(ActorCall),
        result=TypeAdapter(Any),
        description=first_paragraph(actor.fn),
        example={"args": [], "kwargs": {}},
        spreads_payload=True,
        passes_run=False,
        is_async=inspect.iscoroutinefunction(actor.fn),
        source=source_of(actor.fn),
    )
    into.add(job_type)
    return job_type


def _seconds(milliseconds: float | None, default: float) -> float:
    return default if milliseconds is None else milliseconds / 1000
