"""Job types: handler, payload, queue, and the bounds of their jobs.

Imports no Dramatiq, so the api can describe and validate jobs without it.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import re
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from callboard.actors.types.run import Run
from callboard.actors.types.signatures import first_paragraph, json_adapter, signature_of, source_of
from callboard.actors.types.sizes import bytes_of
from callboard.db.errors import ConfigurationError, FieldError, InvalidInput, UnknownJobType
from callboard.db.rules.retry import RetryPolicy

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_QUEUE: Final = "default"
DEFAULT_PRIORITY: Final = 5
DEFAULT_MAX_RETRIES: Final = 3
DEFAULT_TIME_LIMIT: Final = 600.0
DEFAULT_MIN_BACKOFF: Final = 15.0
DEFAULT_MAX_BACKOFF: Final = 7 * 86_400.0
LONGEST_TIME_LIMIT: Final = 7 * 86_400.0
MOST_RETRIES: Final = 100
LEAST_MEMORY_LIMIT: Final = 64 * 2**20
ENTRY_POINT_GROUP: Final = "callboard.jobs"

Isolation = Literal["thread", "process"]

_ANYTHING: TypeAdapter[Any] = TypeAdapter(Any)

# A name goes into URLs, metric labels and log lines.
_NAME = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_./:-]{0,199}")
_QUEUE_NAME = re.compile(r"(?!.*\.[DX]Q$)[A-Za-z_][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True, slots=True)
class JobType:
    """A job type. Times are in seconds."""

    name: str
    function: Callable[..., Any]
    queue: str = DEFAULT_QUEUE
    priority: int = DEFAULT_PRIORITY
    max_retries: int = DEFAULT_MAX_RETRIES
    min_backoff: float = DEFAULT_MIN_BACKOFF
    max_backoff: float = DEFAULT_MAX_BACKOFF
    time_limit: float = DEFAULT_TIME_LIMIT
    highest_max_retries: int = MOST_RETRIES
    """Most retries that a submission may ask for."""
    highest_time_limit: float = LONGEST_TIME_LIMIT
    """Longest time limit that a submission may ask for."""
    retry_when: Callable[[int, BaseException], bool] | None = None
    """Called with the retries spent and the exception: whether to retry. As in Dramatiq, it replaces the count."""
    throws: tuple[type[BaseException], ...] = ()
    """Exceptions that fail the job at once."""
    payload: TypeAdapter[Any] = _ANYTHING
    result: TypeAdapter[Any] = _ANYTHING
    description: str = ""
    example: Any = None
    passes_run: bool = True
    """Whether the function takes the :class:`Run` as its second argument."""
    is_async: bool = False
    spreads_payload: bool = False
    """Whether the payload is ``{"args": [...], "kwargs": {...}}``, as for an adopted Dramatiq actor."""
    actor_options: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """Options of an adopted Dramatiq actor, for Dramatiq middleware to read."""
    isolation: Isolation = "thread"
    """Where the handler runs: in a thread of the worker, or in a process of its own that can be killed."""
    memory_limit: int | None = None
    """Most bytes of memory of this process and its descendants; None for no limit."""
    internal: bool = False
    """Whether only Callboard itself submits it: clients can neither submit nor see the type."""
    source: str = ""
    """Where it was defined, as ``file:line``."""

    def retry_policy(self, max_retries: int) -> RetryPolicy:
        """Return the policy of a job of this type with ``max_retries``."""
        return RetryPolicy(max_retries, self.min_backoff, self.max_backoff)

    def call(self, payload: Any, run: Run) -> Any:
        """Call the function with a validated payload; for an ``async def``, return its coroutine."""
        if self.spreads_payload:
            return self.function(*payload.args, **payload.kwargs)
        return self.function(payload, run) if self.passes_run else self.function(payload)

    def validate_payload(self, payload: Any) -> Any:
        """Return the payload as the handler's own type.

        Raises:
            InvalidInput: the payload does not fit; each error's pointer starts with ``/payload``.
        """
        try:
            return self.payload.validate_python(payload)
        except ValidationError as error:
            raise InvalidInput(
                f"The payload does not fit job type {self.name!r}; GET /v1/job-types/{self.name} shows its schema.",
                [
                    FieldError(item["msg"], "/".join(["/payload", *(_escape(part) for part in item["loc"])]))
                    for item in error.errors(include_input=False, include_url=False, include_context=False)
                ],
            ) from None


def _escape(part: int | str) -> str:
    """Escape one reference token of a JSON pointer (RFC 6901, section 3)."""
    return str(part).replace("~", "~0").replace("/", "~1")


class Registry:
    """The job types of one process, by name."""

    def __init__(self) -> None:
        self._types: dict[str, JobType] = {}

    def __iter__(self) -> Iterator[JobType]:
        return iter(sorted(self._types.values(), key=lambda job_type: job_type.name))

    def __len__(self) -> int:
        return len(self._types)

    def __contains__(self, name: object) -> bool:
        return name in self._types

    def get(self, name: str) -> JobType:
        """Return the job type of that name.

        Raises:
            UnknownJobType: there is none; the message lists similar names.
        """
        job_type = self._types.get(name)
        if job_type is None:
            near = difflib.get_close_matches(name, self._types, n=3)
            hint = (
                f" Did you mean {' or '.join(map(repr, near))}?" if near else " GET /v1/job-types lists what there is."
            )
            raise UnknownJobType(
                f"There is no job type {name!r}.{hint}", [FieldError(f"unknown job type {name!r}", "/type")]
            )
        return job_type

    def add(self, job_type: JobType) -> None:
        """Register a job type.

        Raises:
            ConfigurationError: its name is taken by another function, or an option is out of range.
        """
        _check(job_type)
        known = self._types.get(job_type.name)
        if known is not None and known.source != job_type.source:
            raise ConfigurationError(
                f"Job type {job_type.name!r} is defined twice: at {known.source} and at {job_type.source}. Rename one."
            )
        self._types[job_type.name] = job_type

    @property
    def queues(self) -> list[str]:
        """Names of all queues that job types use, sorted."""
        return sorted({job_type.queue for job_type in self._types.values()})

    def select(self, predicate: Callable[[JobType], bool]) -> Registry:
        """Return a registry of the job types that fulfil the predicate."""
        selected = Registry()
        selected._types = {name: job_type for name, job_type in self._types.items() if predicate(job_type)}
        return selected


def _refuse(job_type: JobType, what: str, value: object, allowed: str) -> typing.NoReturn:
    raise ConfigurationError(
        f"Job type {job_type.name!r} at {job_type.source}: {what} is {value!r}, but must be {allowed}."
    )


def _check(job_type: JobType) -> None:
    refuse = functools.partial(_refuse, job_type)
    if not _NAME.fullmatch(job_type.name):
        refuse("its name", job_type.name, "1 to 200 letters, digits or any of _ . / : -")
    if not _QUEUE_NAME.fullmatch(job_type.queue):
        refuse(
            "queue",
            job_type.queue,
            "1 to 100 letters, digits or any of _ . -, beginning with a letter or _, not ending in .DQ or .XQ",
        )
    if not 0 <= job_type.priority <= 9:
        refuse("priority", job_type.priority, "0 to 9, higher first")
    if not 0 <= job_type.highest_max_retries <= MOST_RETRIES:
        refuse("highest_max_retries", job_type.highest_max_retries, f"0 to {MOST_RETRIES}")
    if not 0 <= job_type.max_retries <= job_type.highest_max_retries:
        refuse("max_retries", job_type.max_retries, f"0 to {job_type.highest_max_retries}")
    if not 0 < job_type.highest_time_limit <= LONGEST_TIME_LIMIT:
        refuse("highest_time_limit", job_type.highest_time_limit, f"above 0 and up to {LONGEST_TIME_LIMIT:g} seconds")
    if not 0 < job_type.time_limit <= job_type.highest_time_limit:
        refuse("time_limit", job_type.time_limit, f"above 0 and up to {job_type.highest_time_limit:g} seconds")
    if not 0 <= job_type.min_backoff <= job_type.max_backoff <= DEFAULT_MAX_BACKOFF:
        refuse(
            "backoff", (job_type.min_backoff, job_type.max_backoff), "0 <= min_backoff <= max_backoff <= 604800 seconds"
        )
    _check_isolation(job_type)


def _check_isolation(job_type: JobType) -> None:
    refuse = functools.partial(_refuse, job_type)
    if job_type.isolation not in typing.get_args(Isolation):
        refuse("isolation", job_type.isolation, "'thread' or 'process'")
    if job_type.memory_limit is not None:
        if job_type.isolation != "process":
            refuse("memory_limit", job_type.memory_limit, "left out without isolation='process'")
        if job_type.memory_limit < LEAST_MEMORY_LIMIT:
            refuse("memory_limit", job_type.memory_limit, "64 MiB or more")


#: The registry of ``@job``. A process fills it once, with :func:`load_job_types`.
registry = Registry()


def job(
    name: str,
    *,
    queue: str = DEFAULT_QUEUE,
    priority: int = DEFAULT_PRIORITY,
    max_retries: int = DEFAULT_MAX_RETRIES,
    min_backoff: float = DEFAULT_MIN_BACKOFF,
    max_backoff: float = DEFAULT_MAX_BACKOFF,
    time_limit: float = DEFAULT_TIME_LIMIT,
    highest_max_retries: int = MOST_RETRIES,
    highest_time_limit: float = LONGEST_TIME_LIMIT,
    retry_when: Callable[[int, BaseException], bool] | None = None,
    throws: type[BaseException] | Sequence[type[BaseException]] = (),
    isolation: Isolation = "thread",
    memory_limit: int | str | None = None,
    description: str | None = None,
    example: Any = None,
    internal: bool = False,
    into: Registry = registry,
) -> Callable[[F], F]:
    """Make a function a job type. The function itself is not changed, and can still be called.

    Its arguments are the payload (validated to the type of its first parameter: a Pydantic model, or any plain JSON
    type) and, if it has a second parameter, the :class:`Run`. It may be ``def`` or ``async def``. Its return value is
    stored as the result, through its return annotation.

    Args:
        name: the ``type`` that clients submit, such as ``"table.analyze"``.
        queue: the queue its jobs wait in.
        priority: 0 to 9, higher first; a submission may set another.
        max_retries: attempts after the first.
        min_backoff, max_backoff: bounds of the wait before a retry, in seconds.
        time_limit: seconds that one attempt may take.
        highest_max_retries, highest_time_limit: the most that a submission may ask for.
        retry_when: called with the retries spent and the exception, returns whether to retry; replaces ``max_retries``.
        throws: exceptions that fail the job at once.
        isolation: ``"process"``: the handler runs in a process of its own, which is killed when it does not stop.
        memory_limit: the most memory of that process and its children, in bytes or as ``"512MiB"``; from 64 MiB.
        description: for people; the docstring's first paragraph if not given.
        example: a payload to show in the documentation.
        internal: only Callboard itself submits it, not clients.

    Raises:
        ConfigurationError: the function or an option is not valid; the message has the place.
    """

    def register(function: F) -> F:
        source = source_of(function)
        parameters, hints = signature_of(function, name, source)
        payload_type = hints.get(parameters[0].name, Any)
        into.add(
            JobType(
                name=name,
                function=function,
                queue=queue,
                priority=priority,
                max_retries=max_retries,
                min_backoff=float(min_backoff),
                max_backoff=float(max(max_backoff, min_backoff) if max_backoff == DEFAULT_MAX_BACKOFF else max_backoff),
                time_limit=float(time_limit),
                highest_max_retries=highest_max_retries,
                highest_time_limit=float(highest_time_limit),
                retry_when=retry_when,
                throws=(throws,) if isinstance(throws, type) else tuple(throws),
                isolation=isolation,
                memory_limit=None if memory_limit is None else bytes_of(memory_limit),
                payload=json_adapter(payload_type, "payload", name, source),
                result=json_adapter(hints.get("return", Any), "result", name, source),
                description=description if description is not None else first_paragraph(function),
                example=example,
                passes_run=len(parameters) == 2,
                is_async=inspect.iscoroutinefunction(function),
                internal=internal,
                source=source,
            )
        )
        return function

    return register


def load_job_types(
    modules: Sequence[str],
    *,
    diagnostics: bool,
    built_in: Sequence[str] = ("callboard.actors.jobs.bulk", "callboard.actors.jobs.table.analyze"),
) -> Registry:
    """Import all modules that define job types, and return the job types.

    The modules are the ``built_in`` ones, ``modules``, and the entry points of group ``callboard.jobs`` of all
    installed distributions.

    Raises:
        ConfigurationError: a module cannot be imported, or a job type is malformed or defined twice.
    """
    for module in (*built_in, *(["callboard.actors.jobs.diagnostics"] if diagnostics else []), *modules):
        _import(module, "CALLBOARD_JOB_MODULES")
    for entry_point in entry_points(group=ENTRY_POINT_GROUP):
        _import(entry_point.module, f"entry point {entry_point.name!r}")
    return registry.select(lambda job_type: diagnostics or not job_type.name.startswith("diagnostics."))


def _import(module: str, named_by: str) -> None:
    try:
        importlib.import_module(module)
    except ConfigurationError:
        raise
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{named_by} names the module {module!r}, which cannot be imported: {error}. "
            "Is it installed, and is its folder on PYTHONPATH?"
        ) from error
    except Exception as error:
        raise ConfigurationError(
            f"{named_by} names the module {module!r}, which raised {type(error).__name__} on import: {error}"
        ) from error


def model_dump(job_type: JobType, value: Any) -> bytes:
    """Return a handler's return value as JSON, through its return annotation."""
    if isinstance(value, BaseModel):
        return value.__pydantic_serializer__.to_json(value)
    return job_type.result.dump_json(value)
