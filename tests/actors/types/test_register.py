"""``register``: handlers by import path, and what is said of those that are not there or do not fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from starlette.exceptions import HTTPException

from callboard.actors.types.http_errors import HTTPClientError
from callboard.actors.types.register import register
from callboard.actors.types.registry import Registry
from callboard.actors.types.run import Run
from callboard.db.errors import ConfigurationError

HERE = __name__
RUN = cast("Run", object())

number = 42


def pair(left: int, run: Run, *, right: int = 2) -> tuple[int, int, bool]:
    """Give both.

    In order.
    """
    return left, right, run is RUN


def refuse(status: int) -> None:
    raise HTTPException(status, "no")


def each(count: int) -> Iterator[int]:
    yield from range(count)


def takes_all(*numbers: int) -> None: ...


class Holder:
    @staticmethod
    def inner(text: str) -> str:
        return text


@pytest.fixture
def registry() -> Registry:
    return Registry()


def test_a_path_leads_to_a_function(registry: Registry) -> None:
    made = register("/v1/pair", f"{HERE}:pair", into=registry, queue="q", max_retries=1)
    assert registry.get("/v1/pair") is made
    assert (made.queue, made.max_retries, made.description) == ("q", 1, "Give both.")
    assert made.call(made.validate_payload({"left": 1}), RUN) == (1, 2, True)
    inner = register("inner", f"{HERE}:Holder.inner", into=registry)
    assert inner.call(inner.validate_payload({"text": "a"}), RUN) == "a"


def test_only_the_run_is_handed_in(registry: Registry) -> None:
    made = register("pair", pair, into=registry)
    assert set(made.payload.json_schema()["properties"]) == {"left", "right"}


@pytest.mark.parametrize(("status", "final"), [(400, True), (404, True), (409, False), (429, False), (500, False)])
def test_refusals_are_final_where_a_retry_is_pointless(registry: Registry, *, status: int, final: bool) -> None:
    made = register("refuse", refuse, into=registry, throws=[KeyError])
    with pytest.raises(HTTPClientError if final else HTTPException, match="no") as caught:
        made.call({"status": status}, RUN)
    assert isinstance(caught.value, made.throws) is final
    assert KeyError in made.throws


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        ("no_such_package.jobs:extract", "'no_such_package.jobs' cannot be imported"),
        (f"{HERE}:absent", "has no 'absent'"),
        (f"{HERE}:number", "this is a int, not a function"),
        (f"{HERE}:Holder", "this is a type, not a function"),
        ("just_a_name", "is named like 'package.module:function'"),
    ],
)
def test_a_path_that_leads_nowhere_is_told_with_its_place(registry: Registry, handler: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        register("a.b", handler, into=registry)
    assert message in str(caught.value)
    assert f"register('a.b', {handler!r}) at {__file__}:" in str(caught.value)


@pytest.mark.parametrize(
    ("handler", "message"), [(each, "a function that yields has no result"), (takes_all, "takes any number")]
)
def test_a_function_that_does_not_fit_is_told_with_the_place(registry: Registry, handler: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        register("a.b", handler, into=registry)
    assert f"registered at {__file__}:" in str(caught.value)


def test_an_option_that_does_not_exist_is_told_with_the_one_that_does(registry: Registry) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no option 'quue'\. Did you mean 'queue'\?") as caught:
        register("a.b", pair, into=registry, quue="q")  # type: ignore[call-arg]
    assert f"registered at {__file__}:" in str(caught.value)


def test_one_exception_may_fail_the_job_at_once(registry: Registry) -> None:
    assert KeyError in register("a.b", pair, into=registry, throws=KeyError).throws


def test_a_name_is_taken_once(registry: Registry) -> None:
    register("a.b", pair, into=registry)
    with pytest.raises(ConfigurationError, match="defined twice"):
        register("a.b", refuse, into=registry)
