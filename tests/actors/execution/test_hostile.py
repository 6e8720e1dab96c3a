"""Whatever the code of users raises, returns or is: every attempt ends in one outcome that is recorded."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

import pytest
from dramatiq.errors import Retry
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import RowMapping

from callboard import JobInterrupted, Run
from tests.actors.execution.conftest import Bench
from tests.actors.execution.modules.hostile_code import HOOKS, RESERVED, SCENARIOS, fail, leave
from tests.support.refusal import refusing

# Hypothesis takes the random numbers of the worker's threads for those of a test.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")


@pytest.fixture(autouse=True)
def _harmless_afterwards() -> Iterator[None]:
    yield
    HOOKS.reset()


@pytest.mark.parametrize("where", ["thread", "process"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_fails_its_job(bench: Bench, where: str, name: str) -> None:
    row = bench.run(f"hostile.{where}", name, max_retries=0)

    assert (row["status"], row["error"]["reason"], row["error"]["type"]) == ("failed", "exception", SCENARIOS[name][1])
    assert len(bench.record(row["id"]).attempts) == 1
    assert bench.running.held() == []


@pytest.mark.parametrize("does", [fail, leave])
def test_a_payload_whose_validator_raises(bench: Bench, does: Callable[..., Any]) -> None:
    HOOKS.validate = does
    row = bench.run("hostile.any", 1)

    assert (row["status"], row["error"]["reason"]) == ("failed", "invalid_payload")
    assert "a validator raised" in row["error"]["message"]
    [attempt] = bench.record(row["id"]).attempts
    assert "in validate" in attempt["traceback"] or does.__name__ in attempt["traceback"]


class Undecided:
    __bool__ = fail


@pytest.mark.parametrize("does", [fail, leave, lambda *_: Undecided()])
def test_a_retry_rule_that_cannot_say(bench: Bench, does: Callable[..., Any]) -> None:
    HOOKS.handle = lambda _: raises(KeyError("sheet"))
    HOOKS.retry_when = does
    row = bench.run("hostile.any", 1)

    assert (row["status"], row["error"]["type"]) == ("failed", "KeyError")
    assert row["error"]["message"].startswith("'sheet' Whether to retry could not be decided: ")


@pytest.mark.parametrize("delay", ["text", "nan", "inf", "huge", "long", "truth"])
def test_a_delay_that_is_none_leaves_the_backoff(bench: Bench, delay: str) -> None:
    row = bench.run("hostile.delay", delay)

    assert (row["status"], row["error"]["type"]) == ("retrying", "Retry")
    assert row["error"]["message"].startswith("again Its delay of ")
    [attempt] = bench.record(row["id"]).attempts
    assert 55 < (row["due_at"] - attempt["finished_at"]).total_seconds() < 65


@pytest.mark.parametrize(("delay", "seconds"), [("negative", 0), ("seconds", 5), ("none", 60)])
def test_a_delay_that_is_one(bench: Bench, delay: str, seconds: float) -> None:
    row = bench.run("hostile.delay", delay)

    [attempt] = bench.record(row["id"]).attempts
    assert abs((row["due_at"] - attempt["finished_at"]).total_seconds() - seconds) < 1
    assert row["error"]["message"] == "again"


def test_a_result_of_another_type_than_declared(bench: Bench) -> None:
    row = bench.run("hostile.declared", ["1", "x"])

    assert (row["status"], row["retries"], row["error"]["type"]) == ("failed", 0, "InvalidResult")
    assert "'hostile.declared' declares: /1: Input should be a valid integer" in row["error"]["message"]
    assert bench.run("hostile.declared", ["1", 2])["result"] == [1, 2]


def test_a_result_has_the_names_of_its_schema(bench: Bench) -> None:
    assert bench.run("hostile.alias", None)["result"] == {"sheetName": "b", "mean": None}


def test_a_number_comes_back_as_it_went_in(bench: Bench) -> None:
    """PostgreSQL writes 1e20 without an exponent, as it writes integers."""
    seen: list[Any] = []
    HOOKS.validate = seen.append
    for number in (1e20, 1e300, 2**63, 2.5):
        assert bench.run("hostile.any", number)["status"] == "succeeded"
    assert seen == [1e20, 1e300, 2**63, 2.5]
    assert list(map(type, seen)) == [float, float, int, float]
    assert bench.run("diagnostics.echo", {"value": 1e20})["status"] == "succeeded"


def test_a_result_that_the_database_refuses(bench: Bench) -> None:
    HOOKS.handle = lambda _: "snow"
    with refusing(bench.database, "job_history", "result", "snow"):
        row = bench.run("hostile.any", None)

    assert (row["status"], row["error"]["type"]) == ("failed", "UnstorableResult")
    assert row["error"]["message"].startswith("The database cannot store the result: ")
    assert len(bench.record(row["id"]).attempts) == 1


@pytest.mark.parametrize(("max_retries", "status"), [(0, "failed"), (1, "retrying")])
def test_words_that_the_database_refuses(bench: Bench, max_retries: int, status: str) -> None:
    HOOKS.handle = lambda _: raises(ValueError("☃"))
    with refusing(bench.database, "job_attempts", "error_message", "☃"):
        row = bench.run("hostile.counted", None, max_retries=max_retries)

    assert (row["status"], row["error"]["type"], row["error"]["message"]) == (status, "ValueError", "\\u2603")


def test_a_last_report_that_the_database_refuses_is_left_out(bench: Bench) -> None:
    def report(run: Run) -> str:
        run.progress(1, 2, "snow")
        return "whole"

    HOOKS.handle = report
    with refusing(bench.database, "job_progress", "message", "snow"):
        row = bench.run("hostile.any", None)

    assert (row["status"], row["result"], row["progress"]) == ("succeeded", "whole", None)


def spin(*_: object) -> NoReturn:
    while True:
        sum(range(100))


@pytest.mark.parametrize("place", ["validate", "handle", "result"])
def test_all_code_of_users_has_a_time_limit(bench: Bench, place: str) -> None:
    if place == "result":
        HOOKS.handle = lambda _: (spin() for _ in [None])
    else:
        setattr(HOOKS, place, spin)
    row = bench.run("hostile.any", None, time_limit=0.3, max_retries=0)

    assert (row["status"], row["error"]["reason"]) == ("failed", "time_limit")
    assert bench.running.replacement is None


def test_no_line_of_a_log_fails_a_job(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="callboard.job"):
        row = bench.run("hostile.log", None, max_retries=0)

    assert (row["status"], row["result"]) == ("succeeded", "logged")
    lines = {record.getMessage(): record for record in caplog.records}
    assert (lines["two"].event_, lines["two"].event__) == (1, 2)  # type: ignore[attr-defined]
    assert lines["values"].job_id == str(row["id"])  # type: ignore[attr-defined]
    assert "(Silent has no text: its __str__ raised RuntimeError)" in lines
    assert {f"{word}_" for word in RESERVED} <= vars(lines["a line"]).keys()


def test_no_number_and_no_text_of_a_report_fails_a_job(bench: Bench) -> None:
    row = bench.run("hostile.progress", None, max_retries=0)

    assert (row["status"], row["progress"]["current"], row["progress"]["total"]) == ("succeeded", 1, None)
    assert (row["progress"]["step"], row["progress"]["percent"]) == ("\ufffd\ufffd", 100)
    assert "Silent has no text" in row["progress"]["message"]


# --- whatever there is, wherever it is taken ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Made:
    """Makes a hostile object. Hypothesis would look at the object itself, to compare and to show it."""

    what: str
    make: Callable[[], Any]

    def __repr__(self) -> str:
        return self.what


class Text(str):
    __slots__ = ()
    __len__ = __getitem__ = __format__ = fail


#: What a hostile method does.
DOES: dict[str, Callable[..., Any]] = {
    "raises": fail,
    "exits": leave,
    "None": lambda *_: None,
    "5": lambda *_: 5,
    "odd text": lambda *_: Text("odd"),
    "long": lambda *_: "x" * 50_000,
    "unstorable": lambda *_: "\0\ud800",
}
METHODS = ("__str__", "__repr__", "__bool__", "__eq__", "__len__", "__iter__", "__float__", "__int__", "__index__")
MEMBERS = st.dictionaries(st.sampled_from(METHODS), st.sampled_from(sorted(DOES)), min_size=1, max_size=3)
LOOKS = st.sampled_from([None, "__module__", "__class__", "__cause__", "__dict__", "delay"])


def class_of(name: str, base: type, members: dict[str, str], look: str | None) -> Any:
    odd = {} if look is None else {look: property(fail)}
    return type(name, (base,), {method: DOES[does] for method, does in members.items()} | odd)


def exception(name: str, base: type, members: dict[str, str], look: str | None, delay: Any) -> Made:
    def make() -> Any:
        kind = class_of(name, base, members, look)
        error = kind("said", [ValueError("inner")]) if base is ExceptionGroup else kind("said")
        if base is Retry and look != "delay":
            error.delay = delay
        return error

    return Made(f"{base.__name__} {name[:9]!r} {members} {look} {delay!r}", make)


def thing(base: type, members: dict[str, str], look: str | None) -> Made:
    return Made(f"{base.__name__} {members} {look}", class_of("Thing", base, members, look))


ERRORS = st.builds(
    exception,
    st.sampled_from([3, 100_000]).map(lambda length: "N" * length),
    st.sampled_from([Exception, ValueError, KeyError, OSError, Retry, SystemExit, BaseException, ExceptionGroup]),
    MEMBERS,
    LOOKS,
    st.floats() | st.integers() | st.text() | st.none(),
) | st.sampled_from(
    [JobInterrupted, KeyboardInterrupt, SystemExit, GeneratorExit, StopIteration, asyncio.CancelledError, MemoryError]
).map(lambda kind: Made(kind.__name__, kind))

SPECIAL: dict[str, Callable[[], Any]] = {
    "5,001 digits": lambda: 10**5000,
    "not a decimal": lambda: Decimal("NaN"),
    "a large decimal": lambda: Decimal("1e999999"),
    "an object": object,
    "a function": lambda: fail,
    "a module": lambda: math,
    "a class": lambda: int,
    "a range": lambda: range(3),
    "a complex number": lambda: 2 + 3j,
}
VALUES = st.recursive(
    (st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(max_size=3)).map(
        lambda value: Made(repr(value), lambda: value)
    )
    | st.builds(thing, st.sampled_from([object, str, float, int, dict, list]), MEMBERS, LOOKS)
    | st.sampled_from(sorted(SPECIAL)).map(lambda name: Made(name, SPECIAL[name])),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda made: Made(repr(made), lambda: [each.make() for each in made]))
        | st.dictionaries(st.text() | st.integers(), inner, max_size=3).map(
            lambda made: Made(repr(made), lambda: {key: each.make() for key, each in made.items()})
        )
        | inner.map(lambda made: Made(f"each of {made}", lambda: (each.make() for each in [made])))
    ),
    max_leaves=4,
)

#: What a handler may do with a value.
USES: dict[str, Callable[[Run, Any], Any]] = {
    "result": lambda _, value: value,
    "progress": lambda run, value: run.progress(value, value, value, step=value),
    "log": lambda run, value: run.log(value, event=value, value=value),
    "checkpoint": lambda run, value: run.checkpoint(value),
    "step": lambda run, value: run.once("key", lambda: value),
    "key": lambda run, value: run.once(value, lambda: 1),
    "token": lambda run, value: run.token(value),
    "file": lambda run, value: run.file(value),
    "attach": lambda run, value: run.attach([b"", value], name=value, media_type=value),
    "retry": lambda _, value: raises(Retry("again", delay=value)),
}


def raises(error: BaseException) -> NoReturn:
    raise error


def ends_once(bench: Bench, job_type: str) -> RowMapping:
    """Run a job, and see that its first attempt has one outcome and that nothing of it is left."""
    row = bench.run(job_type, None)
    assert row["status"] in {"succeeded", "failed", "retrying"}
    assert [attempt["attempt"] for attempt in bench.record(row["id"]).attempts] == [1]
    assert bench.running.held() == []
    assert bench.running.replacement is None
    return row


@given(st.sampled_from(sorted(USES)), VALUES)
def test_every_value_at_every_place(bench: Bench, use: str, made: Made) -> None:
    HOOKS.reset()
    HOOKS.handle = lambda run: USES[use](run, made.make())
    ends_once(bench, "hostile.counted")


@given(ERRORS, st.sampled_from(["handle", "validate", "retry_when"]))
def test_every_exception_at_every_place(bench: Bench, made: Made, place: str) -> None:
    HOOKS.reset()
    HOOKS.handle = lambda _: raises(ValueError("three"))
    setattr(HOOKS, place, lambda *_: raises(made.make()))
    row = ends_once(bench, "hostile.any")

    assert row["status"] == "failed"


@given(VALUES)
def test_every_answer_of_a_retry_rule(bench: Bench, made: Made) -> None:
    HOOKS.reset()
    HOOKS.handle = lambda _: raises(ValueError("three"))
    HOOKS.retry_when = lambda *_: made.make()
    ends_once(bench, "hostile.any")
