"""Dramatiq actors as job types: each of their options carries over, or is refused with a word on what to use."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Retries, TimeLimit, default_middleware
from dramatiq.middleware.retries import DEFAULT_MAX_BACKOFF, DEFAULT_MIN_BACKOFF

from callboard.actors.broker.local import LocalBroker
from callboard.actors.types.adopt import DRAMATIQ_DEFAULTS, adopt
from callboard.actors.types.registry import JobType, Registry
from callboard.db.errors import ConfigurationError, InvalidInput


def adopted(function: Any, *, call: dict[str, Any] | None = None, **options: Any) -> JobType:
    """Return the job type of a new actor with these options; ``call``: those of ``adopt``."""
    actor = dramatiq.actor(broker=LocalBroker(), **options)(function)
    return adopt(actor, into=Registry(), **call or {})


def count_words(url: str, minimum: int = 0, *, deep: bool = False) -> str:
    """Count."""
    return f"{url} {minimum} {deep}"


def test_the_defaults_are_dramatiqs_own() -> None:
    retries = {name: each.default for name, each in inspect.signature(Retries.__init__).parameters.items()}
    limit = inspect.signature(TimeLimit.__init__).parameters["time_limit"].default
    assert dict(DRAMATIQ_DEFAULTS) == {
        "max_retries": retries["max_retries"],
        "min_backoff": DEFAULT_MIN_BACKOFF,
        "max_backoff": DEFAULT_MAX_BACKOFF,
        "time_limit": limit,
    }
    job_type = adopted(count_words)
    assert (job_type.max_retries, job_type.min_backoff, job_type.max_backoff) == (20, 15.0, 604_800.0)
    assert (job_type.time_limit, job_type.priority, job_type.queue) == (600.0, 5, "default")


def test_options_carry_over() -> None:
    def retry_when(retries: int, error: BaseException) -> bool:
        return retries < 2 and isinstance(error, OSError)

    job_type = adopted(
        count_words,
        actor_name="words.count", queue_name="words", max_retries=0, min_backoff=1_000, max_backoff=5_000,
        time_limit=30_000, throws=(ValueError, KeyError), retry_when=retry_when, store_results=True,
    )  # fmt: skip
    assert (job_type.name, job_type.queue, job_type.max_retries) == ("words.count", "words", 0)
    assert (job_type.min_backoff, job_type.max_backoff, job_type.time_limit) == (1.0, 5.0, 30.0)
    assert (job_type.throws, job_type.retry_when) == ((ValueError, KeyError), retry_when)
    assert adopted(count_words, throws=ValueError).throws == (ValueError,)


def test_the_longest_backoff_bounds_the_shortest() -> None:
    job_type = adopted(count_words, max_backoff=2_000)
    assert (job_type.min_backoff, job_type.max_backoff) == (2.0, 2.0)


def test_an_async_actor_is_its_coroutine_function() -> None:
    """Dramatiq's wrapper needs an event loop that only Dramatiq's middleware starts."""

    async def fetch(url: str) -> str:
        await asyncio.sleep(0)
        return url

    job_type = adopted(fetch)
    assert job_type.is_async
    call = job_type.validate_payload({"args": ["here"]})
    assert asyncio.run(job_type.call(call, None)) == "here"  # type: ignore[arg-type]
    assert "test_adopt.py" in job_type.source


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ({}, "missing a required argument: 'url'"),
        ({"kwargs": {"minimum": 3}}, "missing a required argument: 'url'"),
        ({"args": ["a", 1, True]}, "too many positional arguments"),
        ({"args": ["a"], "kwargs": {"url": "b"}}, "multiple values for argument 'url'"),
        ({"args": ["a"], "kwargs": {"deeper": True}}, "got an unexpected keyword argument 'deeper'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(payload: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        adopted(count_words).validate_payload(payload)
    [error] = caught.value.errors
    assert error.pointer == "/payload"
    assert error.detail.startswith("The arguments do not fit (url: ")
    assert why in error.detail


def test_arguments_that_fit_are_taken() -> None:
    job_type = adopted(count_words)
    call = job_type.validate_payload({"args": ["a"], "kwargs": {"deep": True}})
    assert job_type.call(call, None) == "a 0 True"  # type: ignore[arg-type]
    anything = adopted(lambda *args, **kwargs: (args, kwargs), actor_name="anything")
    assert anything.validate_payload({"args": [1, 2], "kwargs": {"x": 3}}).kwargs == {"x": 3}


@pytest.mark.parametrize(
    ("options", "instead"),
    [
        ({"max_age": 60_000}, "expires_at"),
        ({"on_success": "next"}, "submit its job when this one is done"),
        ({"on_failure": "next"}, "submit its job when this one is done"),
        ({"on_retry_exhausted": "next"}, "submit its job when this one is done"),
        ({"pipe_target": {}}, "submit its job when this one is done"),
        ({"result_ttl": 60_000}, "result_ttl"),
        ({"periodic": "* * * * *"}, "cron"),
        ({"priority": 10}, "adopt(actor, priority=…)"),
        ({"max_retries": None}, "up to 100"),
        ({"max_retries": 101}, "0 to 100"),
        ({"time_limit": float("inf")}, "604800 seconds"),
    ],
)
def test_what_no_job_can_have_is_refused_with_what_to_use(options: dict[str, Any], instead: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        adopted(count_words, **options)
    assert "count_words" in str(caught.value)
    assert next(iter(options)) in str(caught.value)
    assert instead in str(caught.value)


@pytest.mark.parametrize("option", ["max_age", "on_success", "on_failure"])
def test_an_option_that_says_nothing_is_no_option(option: str) -> None:
    assert adopted(count_words, **{option: None}).max_retries == 20


def test_a_priority_is_given_anew() -> None:
    """In Dramatiq, lower numbers go first."""
    assert adopted(count_words, priority=10, call={"priority": 2}).priority == 2
    assert adopted(count_words, call={"priority": 9}).priority == 9
    with pytest.raises(ConfigurationError, match="priority"):
        adopted(count_words, call={"priority": 10})


def test_every_option_of_dramatiqs_middleware_is_decided_on() -> None:
    """An option of a later Dramatiq must not be dropped in silence."""
    known = {
        "max_retries", "min_backoff", "max_backoff", "retry_when", "throws", "time_limit",  # honoured
        "notify_shutdown", "pipe_ignore",  # without effect: see docs/define-a-job.md
        "max_age", "on_success", "on_failure", "on_retry_exhausted", "pipe_target",  # refused
    }  # fmt: skip
    assert set().union(*(kind().actor_options for kind in default_middleware)) == known


def test_an_actor_of_another_broker_is_adopted_with_the_options_of_its_middleware() -> None:
    broker = StubBroker()
    broker.actor_options.add("team")
    actor = dramatiq.actor(broker=broker, team="billing")(count_words)
    assert adopt(actor, into=Registry()).actor_options == {"team": "billing"}
