"""Job types: handler, payload, queue, and the bounds of their jobs.

Imports no Dramatiq, so the api can describe and validate jobs without it.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Never, TypeVar

import structlog
from pydantic import TypeAdapter, ValidationError

from callboard.actors.types.bounds import (
    DEFAULT_MAX_BACKOFF,
    DEFAULT_MAX_RETRIES,
    DEFAULT_MIN_BACKOFF,
    DEFAULT_PRIORITY,
    DEFAULT_QUEUE,
    DEFAULT_TIME_LIMIT,
    LONGEST_TIME_LIMIT,
    MOST_RETRIES,
    Isolation,
)
from callboard.actors.types.checks import check
from callboard.actors.types.field_errors import field_errors
from callboard.actors.types.findings import fail_fast as failing_fast
from callboard.actors.types.findings import first_findings
from callboard.actors.types.json_form import ANYTHING, json_form
from callboard.actors.types.run import Run
from callboard.actors.types.signatures import first_paragraph, json_adapter, signature_of, source_of
from callboard.actors.types.sizes import bytes_of
from callboard.db.errors import ConfigurationError, FieldError, InvalidInput, UnknownJobType
from callboard.db.rules.exceptions import describe
from callboard.db.rules.retry import RetryPolicy
from callboard.db.rules.spelling import did_you_mean

_log = structlog.get_logger(__name__)

F = TypeVar("F", bound=Callable[..., Any])

ENTRY_POINT_GROUP: Final = "callboard.jobs"

#: How the names of Callboard's own job types begin.
_OWN: Final = "callboard."


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
    payload: TypeAdapter[Any] = ANYTHING
    result: TypeAdapter[Any] = ANYTHING
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
    operators_only: bool = False
    """Whether only operators may submit it, and act on its jobs."""
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

    def validate_payload(self, payload: Any, *, fail_fast: bool = False) -> Any:
        """Return the payload as the handler's own type.

        Args:
            payload: as parsed from JSON.
            fail_fast: of each list and object in it, report the first wrong element only.

        Raises:
            InvalidInput: the payload does not fit, or a validator of the type raised what none should; each error's
                pointer starts with ``/payload``.
        """
        try:
            return (failing_fast(self.payload) if fail_fast else self.payload).validate_python(payload)
        except ValidationError as error:
            raise InvalidInput(
                f"The payload does not fit job type {self.name!r}; GET /v1/job-types/{self.name} shows its schema.",
                field_errors(first_findings(error), payload, "payload"),
            ) from None
        except BaseException as error:  # noqa: BLE001 - a validator may raise anything, even exit
            said = describe(error)
            _log.error(
                "payload_validator_failed", job_type=self.name, source=self.source, error=str(said),
                traceback=said.traceback,
            )  # fmt: skip
            raise InvalidInput(
                f"The payload cannot be validated: a validator of job type {self.name!r} raised {said.type}. "
                "The server's log says where.",
                [FieldError(f"a validator of job type {self.name!r} raised {said.type}", "/payload")],
            ) from None

    def result_json(self, value: Any, *, max_bytes: int) -> bytes:
        """Return the JSON of what the handler returned, through its return annotation.

        Raises:
            ValidationError: it does not fit the annotation.
            InvalidInput: it cannot be stored; the message says where.
            TooLarge: it has more than ``max_bytes``.
        """
        fitting = self.result.validate_python(value, from_attributes=True, by_alias=True, by_name=True)
        return json_form(fitting, self.result, what="The result", max_bytes=max_bytes)


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
        check(job_type)
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

    def needs_operator(self, name: str) -> bool:
        """Return whether only operators may submit jobs of this type and act on them.

        True of Callboard's own types that this version does not know: another version may have made their jobs.
        """
        job_type = self._types.get(name)
        return name.startswith(_OWN) if job_type is None else job_type.operators_only

    def select(self, predicate: Callable[[JobType], bool]) -> Registry:
        """Return a registry of the job types that fulfil the predicate."""
        selected = Registry()
        selected._types = {name: job_type for name, job_type in self._types.items() if predicate(job_type)}
        return selected


def refuse_options(unknown: Iterable[str], known: Collection[str], where: str) -> None:
    """Return if there are no ``unknown`` options of a job type.

    Args:
        unknown: names that are no option.
        known: the options there are.
        where: the place, for the error.

    Raises:
        ConfigurationError: there are some; the message has the option that each may stand for.
    """
    if problems := [f"there is no option {name!r}.{did_you_mean(name, known)}" for name in unknown]:
        raise ConfigurationError(f"{where}: {' '.join(problems)} The options are: {', '.join(known)}.")


#: The registry of ``@job``. A process fills it once, with ``load_job_types``.
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
    operators_only: bool = False,
    into: Registry = registry,
    **unknown: Never,
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
        operators_only: only operators and admins may submit it, and cancel, retry, change or delete its jobs.
        unknown: refused, at run time as by type checkers.

    Raises:
        ConfigurationError: the function or an option is not valid; the message has the place.
    """
    bare: Any = name
    if callable(bare):  # @job without parentheses
        raise ConfigurationError(
            f"@job at {source_of(bare)} needs the name that clients submit: write "
            f'@job("{bare.__module__.rpartition(".")[2]}.{bare.__name__}").'
        )

    def register(function: F) -> F:
        source = source_of(function)
        refuse_options(unknown, OPTIONS, f"Job type {name!r} at {source}")
        parameters, hints = signature_of(function, name, source)
        payload_type = hints.get(parameters[0].name, Any)
        into.add(
            JobType(
                name=name,
                function=function,
                queue=queue,
                priority=priority,
                max_retries=max_retries,
                min_backoff=_seconds(min_backoff),
                max_backoff=_seconds(max_backoff),
                time_limit=_seconds(time_limit),
                highest_max_retries=highest_max_retries,
                highest_time_limit=_seconds(highest_time_limit),
                retry_when=retry_when,
                throws=(throws,) if isinstance(throws, type) else tuple(throws),
                isolation=isolation,
                memory_limit=None if memory_limit is None else bytes_of(memory_limit, f"Job type {name!r} at {source}"),
                payload=json_adapter(payload_type, "payload", name, source),
                result=json_adapter(hints.get("return", Any), "result", name, source),
                description=description if description is not None else first_paragraph(function),
                example=example,
                passes_run=len(parameters) == 2,
                is_async=inspect.iscoroutinefunction(function),
                internal=internal,
                operators_only=operators_only,
                source=source,
            )
        )
        return function

    return register


#: The options of :func:`job` that users set.
OPTIONS: Final = tuple(
    name
    for name, parameter in inspect.signature(job).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY and name not in {"internal", "into"}
)


def _seconds(number: float) -> float:
    # What is no number is left for the check that names the option.
    return float(number) if isinstance(number, int) and not isinstance(number, bool) else number
