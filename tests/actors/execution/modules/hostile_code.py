"""Handlers whose code does whatever a test wants, at every place where a worker calls code of users."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, NoReturn

from dramatiq.errors import Retry
from pydantic import AfterValidator, BaseModel, Field, field_serializer

from callboard import Run, job

QUEUE = "isolated"


class Hooks:
    """What the handlers ``hostile.any`` do, set by a test in the same process."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.validate: Callable[[Any], Any] = lambda value: value
        self.handle: Callable[[Run], Any] = lambda _: None
        self.retry_when: Callable[[int, BaseException], Any] = lambda _, __: False


HOOKS = Hooks()


def validated(value: Any) -> Any:
    return HOOKS.validate(value)


def retried(retries: int, error: BaseException) -> Any:
    return HOOKS.retry_when(retries, error)


@job("hostile.any", queue=QUEUE, retry_when=retried, min_backoff=0)
def anything(payload: Annotated[Any, AfterValidator(validated)], run: Run) -> Any:
    return HOOKS.handle(run)


@job("hostile.counted", queue=QUEUE, max_retries=1, min_backoff=0)
def counted(payload: Any, run: Run) -> Any:
    return HOOKS.handle(run)


def fail(*_: object) -> NoReturn:
    raise RuntimeError("not to be looked at")


def leave(*_: object) -> NoReturn:
    raise SystemExit(3)


def odd(name: str, **members: Any) -> BaseException:
    """Return an exception of a class with these members."""
    kind: Callable[[str], BaseException] = type(name, (Exception,), members)
    return kind("said")


class Kinds(BaseModel):
    """A result with a name of its own in JSON."""

    sheet_name: str = Field("a", alias="sheetName")
    mean: float | None = None


class Leaves(BaseModel):
    """A result that cannot be serialized."""

    value: int = 1

    @field_serializer("value")
    def leave(self, _: int) -> int:
        leave()


def raises(error: BaseException) -> NoReturn:
    raise error


def _endless() -> Iterator[int]:
    yield from ()
    raise KeyError("in the middle of the result")


#: By name: what the handler does, and the type of the error that the job has then.
SCENARIOS: dict[str, tuple[Callable[[Run], Any], str]] = {
    "text raises": (lambda _: raises(odd("Silent", __str__=fail)), "Silent"),
    "text exits": (lambda _: raises(odd("Silent", __str__=leave)), "Silent"),
    "no text": (lambda _: raises(odd("NoText", __str__=lambda _: None)), "NoText"),
    "no truth": (lambda _: raises(odd("Array", __bool__=fail)), "Array"),
    "no class": (lambda _: raises(odd("Classless", __class__=property(fail))), "Classless"),
    "no module": (lambda _: raises(odd("Homeless", __module__=None)), "Homeless"),
    "long name": (lambda _: raises(odd("N" * 100_000)), f"{'N' * 98} … {'N' * 98}"),
    "exits": (lambda _: raises(SystemExit("out")), "SystemExit"),
    "interrupted": (lambda _: raises(KeyboardInterrupt()), "KeyboardInterrupt"),
    "NaN": (lambda _: {"a": [float("nan")]}, "UnstorableResult"),
    "NUL": (lambda _: "a\0", "UnstorableResult"),
    "half a pair": (lambda _: ["\ud800"], "UnstorableResult"),
    "one name twice": (lambda _: {1: 1, "1": 2}, "UnstorableResult"),
    "5,001 digits": (lambda _: 10**5000, "UnstorableResult"),
    "no JSON": (lambda _: object(), "UnstorableResult"),
    "too large": (lambda _: "x" * 17 * 2**20, "UnstorableResult"),
    "serializer exits": (lambda _: Leaves(), "UnstorableResult"),
    "iterator raises": (lambda _: _endless(), "UnstorableResult"),
    "checkpoint": (lambda run: run.checkpoint(10**5000), "InvalidInput"),
    "step": (lambda run: run.once("key", lambda: float("inf")), "InvalidInput"),
    "step's key": (lambda run: run.once("\ud800", lambda: 1), "InvalidInput"),
}


@job("hostile.thread", queue=QUEUE, max_retries=0)
def in_thread(payload: str, run: Run) -> Any:
    return SCENARIOS[payload][0](run)


@job("hostile.process", queue=QUEUE, max_retries=0, isolation="process")
def in_process(payload: str, run: Run) -> Any:
    return SCENARIOS[payload][0](run)


@job("hostile.delay", queue=QUEUE, max_retries=1, min_backoff=60, max_backoff=60)
def delayed(payload: str) -> Any:
    delays: dict[str, Any] = {
        "text": "5", "nan": float("nan"), "inf": float("inf"), "huge": 10**400, "long": 10**30, "truth": True,
        "negative": -(10**400), "seconds": 5000, "none": None,
    }  # fmt: skip
    raise Retry("again", delay=delays[payload])


@job("hostile.declared", queue=QUEUE, max_retries=3)
def declared(payload: Any) -> list[int]:
    return payload  # type: ignore[no-any-return]


@job("hostile.alias", queue=QUEUE)
def aliased(payload: Any) -> Kinds:
    return Kinds(sheetName="b")


#: Words that a logger and its lines use themselves.
RESERVED = (
    "event", "job_id", "job_type", "attempt", "level", "logger", "timestamp", "exc_info", "exception", "self",
    "stack_info",
)  # fmt: skip


@job("hostile.log", queue=QUEUE, max_retries=0)
def logs(payload: Any, run: Run) -> str:
    run.log("a line", **dict.fromkeys(RESERVED, "own"))
    run.log("another", **dict.fromkeys(("message", "extra", "name", "args"), "own"))
    run.log("two", event=1, event_=2)
    run.log(message="by name")  # type: ignore[call-arg]
    run.log(odd("Silent", __str__=fail), value=odd("Silent", __repr__=fail))  # type: ignore[arg-type]
    run.log("values", big=10**5000, half="\ud800", nan=float("nan"), keys={1: 2}, thing=object())
    return "logged"


@job("hostile.progress", queue=QUEUE, max_retries=0)
def reports(payload: Any, run: Run) -> str:
    run.progress(10**400, 10**400)
    run.progress(1, 10**400, odd("Silent", __str__=fail), step="\ud800\0")  # type: ignore[arg-type]
    return "reported"
