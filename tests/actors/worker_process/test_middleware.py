"""Dramatiq middleware of users: it sees every attempt, and by which exception one has failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import dramatiq
import pytest
from dramatiq.errors import Retry
from dramatiq.middleware import (
    AgeLimit,
    Callbacks,
    GroupCallbacks,
    Middleware,
    Pipelines,
    Retries,
    ShutdownNotifications,
    TimeLimit,
    TimeLimitExceeded,
)
from dramatiq.rate_limits.backends import StubBackend as StubLimits
from dramatiq.results import Results
from dramatiq.results.backends import StubBackend

from callboard.actors.broker.local import LocalBroker, LocalTransport
from callboard.actors.broker.transport import Dispatch
from callboard.actors.execution.failures import AttemptFailed, failure_of
from callboard.actors.types.adopt import adopt
from callboard.actors.types.registry import Registry, job
from callboard.actors.worker_process.runtime import WorkerRuntime
from callboard.db.errors import ConfigurationError
from callboard.db.rules.attempts import AttemptId
from callboard.db.rules.outcome import JobError, Outcome
from callboard.db.rules.states import Reason
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from tests.support.factory import QUEUE, Factory
from tests.support.records import read_records
from tests.support.until import until


class Seen(Middleware):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, BaseException | None, Any]] = []

    def after_process_message(
        self, broker: Any, message: Any, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        assert result is None
        self.ended.append((message.actor_name, exception, broker.get_actor(message.actor_name).options.get("throws")))


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Expected(Exception):
    pass


def make(registry: Registry, broker: LocalBroker) -> None:
    """Define job types and an adopted actor."""

    def raising(error: BaseException) -> Callable[[Any], None]:
        def handler(payload: Any) -> None:
            raise error

        return handler

    job("fine", into=registry)(lambda payload: payload)
    job("value", into=registry, throws=Expected)(raising(ValueError("no such thing")))
    job("again", into=registry)(raising(Retry("later", delay=60_000)))
    job("unstorable", into=registry)(lambda payload: object())
    job("late", into=registry)(until_stopped)

    async def fetch(n: int) -> None:
        raise OSError(f"host {n} is away")

    adopt(dramatiq.actor(broker=broker, throws=Expected)(fetch), into=registry)


def until_stopped(payload: Any) -> None:
    until(lambda: False, within=60)


Run = Callable[..., tuple[str, BaseException | None, Any]]


@pytest.fixture
def run(settings: Settings, database: Database, factory: Factory) -> Iterator[Run]:
    """Runs one attempt in a worker, and returns what middleware has seen of it."""
    broker, registry, seen = LocalBroker(), Registry(), Seen()
    broker.add_middleware(seen)
    make(registry, broker)
    runtime = WorkerRuntime(settings, registry)
    broker.add_middleware(runtime)
    runtime.declare(broker)
    worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=100)
    worker.start()

    def run_one(job_type: str, payload: bytes = b"null", **options: Any) -> tuple[str, BaseException | None, Any]:
        job_id = factory.submit(type=job_type, payload=payload, **options)
        LocalTransport(broker).publish([Dispatch(AttemptId(job_id, 1), job_type, QUEUE, 5)])
        ended = until(lambda: seen.ended.pop() if seen.ended else None, within=60)
        assert ended is not None
        until(lambda: status_of(database, job_id) not in {"queued", "running"})
        return ended

    yield run_one
    worker.stop()


def status_of(database: Database, job_id: UUID) -> str:
    status: str = read_records(database)[job_id].row["status"]
    return status


def test_it_sees_what_a_handler_raised(run: Run) -> None:
    assert run("fine") == ("fine", None, ())
    _, error, throws = run("value")
    assert (repr(error), throws) == ("ValueError('no such thing')", (Expected,))
    assert error is not None
    assert error.__traceback__ is not None
    assert isinstance(run("again")[1], Retry)


def test_it_sees_what_an_async_actor_raised(run: Run) -> None:
    assert repr(run("fetch", b'{"args": [7]}')[1:2]) == "(OSError('host 7 is away'),)"


def test_it_sees_failures_without_an_exception(run: Run) -> None:
    assert isinstance(run("late", time_limit=0.5)[1], TimeLimitExceeded)
    error = run("unstorable")[1]
    assert isinstance(error, AttemptFailed)
    assert str(error).startswith("UnstorableResult: ")


def test_an_exception_that_nobody_can_look_at_is_replaced() -> None:
    """The thread of a worker would die of it, in Dramatiq or in middleware."""
    outcome = Outcome.fail(JobError(Reason.EXCEPTION, "Unspeakable", "no words", 1, "Traceback …"))
    error = failure_of(outcome, Unspeakable())
    assert isinstance(error, AttemptFailed)
    assert (str(error), error.__notes__) == ("Unspeakable: no words", ["Traceback …"])


def test_middleware_that_integrations_add_to_every_broker_is_added_to_an_earlier_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As Sentry's, which a job module switches on: the worker's broker is older than that."""
    broker = LocalBroker()
    original = dramatiq.Broker.__init__

    def patched(self: dramatiq.Broker, middleware: list[Middleware] | None = None) -> None:
        original(self, middleware=[Seen(), *(middleware or [])])

    monkeypatch.setattr(dramatiq.Broker, "__init__", patched)
    for _ in range(2):
        broker.add_late_middleware()
    assert [type(middleware) for middleware in broker.middleware] == [Seen]


@pytest.mark.parametrize(
    "useless",
    [
        Retries(), TimeLimit(), AgeLimit(), ShutdownNotifications(), Callbacks(), Pipelines(),
        GroupCallbacks(StubLimits()), Results(backend=StubBackend()),  # type: ignore[no-untyped-call]
    ],
    ids=lambda each: type(each).__name__,
)  # fmt: skip
def test_middleware_that_would_have_no_effect_is_refused(useless: Middleware) -> None:
    with pytest.raises(ConfigurationError, match=type(useless).__name__):
        LocalBroker().add_middleware(useless)


def test_actors_that_are_no_job_types_get_no_messages(settings: Settings) -> None:
    """Of a job type that only newer workers know there may be one of the same name."""
    broker, registry = LocalBroker(), Registry()
    dramatiq.actor(broker=broker, actor_name="new.type")(lambda *_: None)
    job("fine", into=registry)(lambda payload: payload)
    runtime = WorkerRuntime(settings, registry)
    runtime.declare(broker)
    runtime.after_worker_shutdown(broker, None)  # type: ignore[arg-type]
    assert set(broker.actors) == {"fine", "callboard.unknown"}
