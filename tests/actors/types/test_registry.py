from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from callboard.actors.types.bounds import MOST_RETRIES
from callboard.actors.types.registry import Registry, job
from callboard.actors.types.run import Run
from callboard.db.errors import ConfigurationError, InvalidInput, UnknownJobType

HERE = re.escape(__file__)


class Sheet(BaseModel):
    name: str
    rows: list[int] = []


@pytest.fixture
def types() -> Registry:
    return Registry()


def read(payload: Sheet) -> int:
    return len(payload.rows)


def test_a_function_becomes_a_job_type_and_stays_a_function(types: Registry) -> None:
    @job("sheet.read", queue="sheets", time_limit=60, max_retries=1, throws=KeyError, into=types)
    def read_sheet(payload: Sheet, run: Run) -> dict[str, int]:
        """Read
        a sheet.

        At length.
        """
        return {"rows": len(payload.rows)}

    made = types.get("sheet.read")
    assert (made.queue, made.time_limit, made.max_retries, made.throws) == ("sheets", 60.0, 1, (KeyError,))
    assert made.description == "Read a sheet."
    assert made.passes_run
    assert not made.is_async
    assert re.fullmatch(rf"{HERE}:\d+", made.source)
    assert made.function is read_sheet
    assert read_sheet(Sheet(name="one"), None) == {"rows": 0}  # type: ignore[arg-type]


def test_a_function_may_be_async_and_do_without_the_run(types: Registry) -> None:
    @job("sheet.read", into=types)
    async def read_sheet(payload: Sheet) -> int:
        return 0

    assert types.get("sheet.read").is_async
    assert not types.get("sheet.read").passes_run


def test_payloads_become_the_handlers_own_type(types: Registry) -> None:
    job("sheet.read", into=types)(read)

    assert types.get("sheet.read").validate_payload({"name": "one", "rows": [1]}) == Sheet(name="one", rows=[1])


def test_what_is_wrong_with_a_payload_is_pointed_at(types: Registry) -> None:
    @job("sheets.read", into=types)
    def read_all(payload: dict[str, Sheet]) -> None: ...

    with pytest.raises(InvalidInput, match=re.escape("'sheets.read'")) as caught:
        types.get("sheets.read").validate_payload({"a/b~c": {"name": "s3cr3t", "rows": ["s3cr3t"]}, "d": {}})

    assert [error.pointer for error in caught.value.errors] == ["/payload/a~1b~0c/rows/0", "/payload/d/name"]
    assert "s3cr3t" not in str(caught.value) + str(caught.value.errors)


def test_a_name_that_is_taken_names_both_places(types: Registry) -> None:
    job("sheet.read", into=types)(read)

    with pytest.raises(ConfigurationError, match=rf"'sheet.read' is defined twice: at {HERE}:\d+ and at {HERE}:\d+"):

        @job("sheet.read", into=types)
        def other(payload: Sheet) -> None: ...

    assert types.get("sheet.read").function is read


def test_a_module_that_is_imported_twice_defines_its_types_once(types: Registry) -> None:
    job("sheet.read", into=types)(read)
    job("sheet.read", into=types)(read)

    assert len(types) == 1


def no_parameters() -> None: ...
def three(payload: Any, run: Run, more: int) -> None: ...
def keyword_only(*, payload: Any) -> None: ...
def any_number(*payload: Any) -> None: ...
def run_first(run: Run, payload: int) -> None: ...


@pytest.mark.parametrize("function", [no_parameters, three, keyword_only, any_number])
def test_a_function_of_another_shape_is_refused(types: Registry, function: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"'odd' at {HERE}:\d+: .*must take \(payload\) or \(payload, run\)"):
        job("odd", into=types)(function)

    assert not len(types)


def test_the_run_comes_second(types: Registry) -> None:
    with pytest.raises(ConfigurationError, match=rf"{HERE}:\d+: the second parameter is the Run.*run: Run"):
        job("odd", into=types)(run_first)


def test_annotations_that_cannot_be_read_are_named(types: Registry) -> None:
    def odd(payload: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(ConfigurationError, match=rf"'odd' at {HERE}:\d+: .*'Missing' is not defined"):
        job("odd", into=types)(odd)


def test_a_type_without_a_json_form_is_refused(types: Registry) -> None:
    class Opaque: ...

    def takes(payload: Opaque) -> None: ...
    def gives(payload: int) -> Opaque:
        return Opaque()

    takes.__annotations__["payload"] = gives.__annotations__["return"] = Opaque
    with pytest.raises(ConfigurationError, match=rf"'odd' at {HERE}:\d+: its payload type .*Use a Pydantic model"):
        job("odd", into=types)(takes)
    with pytest.raises(ConfigurationError, match=rf"'odd' at {HERE}:\d+: its result type .*Use a Pydantic model"):
        job("odd", into=types)(gives)


def test_something_else_than_a_function_is_refused(types: Registry) -> None:
    with pytest.raises(ConfigurationError, match="'odd': @job expects a function, not 3"):
        job("odd", into=types)(3)  # type: ignore[type-var]


def test_a_bare_decorator_is_told_what_it_lacks() -> None:
    with pytest.raises(ConfigurationError, match=rf'@job at {HERE}:\d+ needs the name .* write @job\("\w+\.read"\)'):
        job(read)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a", "sheet.read", "Sheet_1/read:v2-x", "9lives", "a" * 200])
def test_names_that_fit(types: Registry, name: str) -> None:
    job(name, into=types)(read)

    assert name in types


@pytest.mark.parametrize("name", ["", " a", "a b", "a\n", ".a", "-a", "ä", "a" * 201, "a?b", "a%b"])
def test_names_that_do_not_fit(types: Registry, name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"at {HERE}:\d+: its name is"):
        job(name, into=types)(read)


@pytest.mark.parametrize("queue", ["a", "_a", "Tables.slow-1", "a.DQx", "q" * 100])
def test_queue_names_that_fit(types: Registry, queue: str) -> None:
    job("sheet.read", queue=queue, into=types)(read)

    assert types.queues == [queue]


@pytest.mark.parametrize("queue", ["", "9", "a b", "a/b", "a.DQ", "a.XQ", "a\n", "ä", "q" * 101])
def test_queue_names_that_do_not_fit(types: Registry, queue: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"'sheet.read' at {HERE}:\d+: queue is"):
        job("sheet.read", queue=queue, into=types)(read)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"priority": 10}, "priority is 10"),
        ({"priority": -1}, "priority is -1"),
        ({"max_retries": -1}, "max_retries is -1"),
        ({"max_retries": MOST_RETRIES + 1}, "max_retries is 101"),
        ({"max_retries": 6, "highest_max_retries": 5}, "max_retries is 6, but must be 0 to 5"),
        ({"highest_max_retries": MOST_RETRIES + 1}, "highest_max_retries is 101"),
        ({"time_limit": 0}, "time_limit is 0"),
        ({"time_limit": float("nan")}, "time_limit is nan"),
        ({"time_limit": 61, "highest_time_limit": 60}, "time_limit is 61.0, but must be above 0 and up to 60 seconds"),
        ({"highest_time_limit": float("inf")}, "highest_time_limit is inf"),
        ({"min_backoff": -1}, "backoff is"),
        ({"min_backoff": 10, "max_backoff": 5}, "backoff is"),
        ({"max_backoff": 604_801}, "backoff is"),
        ({"min_backoff": float("nan")}, "backoff is"),
        ({"priority": "high"}, "priority is 'high', but must be a whole number"),
        ({"max_retries": 2.5}, "max_retries is 2.5, but must be a whole number"),
        ({"time_limit": "10m"}, "time_limit is '10m', but must be a number of seconds"),
        ({"min_backoff": "1s"}, "min_backoff is '1s', but must be a number of seconds"),
        ({"queue": None}, "queue is None, but must be text"),
        ({"throws": ["ValueError"]}, "throws is 'ValueError', but must be an exception class, or several"),
        ({"retry_when": True}, "retry_when is True, but must be a function"),
        ({"isolation": "process", "memory_limit": "much"}, "the size 'much' is not understood"),
        ({"max_retires": 3}, "there is no option 'max_retires'. Did you mean 'max_retries'?"),
        ({"timelimit": 3}, "there is no option 'timelimit'. Did you mean 'time_limit'?"),
        ({"colour": 3}, "there is no option 'colour'. The options are: queue, priority, max_retries"),
    ],
)
def test_options_out_of_range_are_named_with_their_place(types: Registry, options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"'sheet.read' at {HERE}:\d+: .*{re.escape(named)}"):
        job("sheet.read", into=types, **options)(read)


@pytest.mark.parametrize("example", [float("nan"), object(), {"a": [2**64]}, "x" * 2**17])
def test_an_example_that_nobody_could_be_shown_is_refused(types: Registry, example: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"'sheet.read' at {HERE}:\d+: its example (has|cannot)"):
        job("sheet.read", example=example, into=types)(read)


@given(st.integers(0, 9), st.integers(0, MOST_RETRIES), st.floats(0.001, 604_800), st.floats(0, 604_800))
def test_options_within_range_are_kept(priority: int, retries: int, limit: float, backoff: float) -> None:
    types = Registry()
    job("a", priority=priority, max_retries=retries, time_limit=limit, min_backoff=backoff, into=types)(read)

    made = types.get("a")
    assert (made.priority, made.max_retries, made.time_limit) == (priority, retries, limit)
    policy = made.retry_policy(retries)
    assert policy.max_retries == retries
    assert policy.min_backoff == backoff <= policy.max_backoff


def test_an_unknown_type_hints_at_near_names(types: Registry) -> None:
    job("table.analyze", into=types)(read)

    with pytest.raises(UnknownJobType, match=r"no job type 'table.analyse'\. Did you mean 'table.analyze'\?") as caught:
        types.get("table.analyse")
    assert [error.pointer for error in caught.value.errors] == ["/type"]
    with pytest.raises(UnknownJobType, match=r"no job type 'x'\. GET /v1/job-types lists"):
        types.get("x")


def test_types_are_listed_by_name_and_can_be_selected(types: Registry) -> None:
    for name in ("b", "a", "c"):
        job(name, queue=f"queue-{name}", into=types)(read)

    chosen = types.select(lambda made: made.name != "a")

    assert [made.name for made in types] == ["a", "b", "c"]
    assert [made.name for made in chosen] == ["b", "c"]
    assert chosen.queues == ["queue-b", "queue-c"]


def test_results_go_through_their_annotation(types: Registry) -> None:
    @job("sheet.make", into=types)
    def make(payload: int) -> Sheet:
        return Sheet(name=str(payload))

    @job("sheet.count", into=types)
    def count(payload: int) -> dict[str, int]:
        return {str(payload): payload}

    made = types.get("sheet.make").result_json(Sheet(name="ä", rows=[1]), max_bytes=100)
    assert made == '{"name":"ä","rows":[1]}'.encode()
    assert types.get("sheet.count").result_json({"a": 1}, max_bytes=100) == b'{"a":1}'
