"""Exceptions of users, which may do anything when they are looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from callboard.db.rules.exceptions import describe
from callboard.db.rules.outcome import JobError
from callboard.db.rules.states import Reason


def fail(*_: object) -> NoReturn:
    raise RuntimeError("not to be looked at")


def leave(*_: object) -> NoReturn:
    raise SystemExit(3)


class Text(str):
    __slots__ = ()
    __len__ = __getitem__ = __format__ = __str__ = encode = fail  # type: ignore[assignment]


def raised(members: dict[str, Any], name: str = "Odd") -> BaseException:
    """Return an exception of a class with these members, as it was raised."""
    kind: Callable[[str], BaseException] = type(name, (Exception,), members)
    try:
        raise kind("said")
    except Exception as error:
        return error


@pytest.mark.parametrize(
    "method", ["__str__", "__repr__", "__bool__", "__len__", "__eq__", "__hash__", "__getattribute__"]
)
@pytest.mark.parametrize("does", [fail, leave, lambda *_: None, lambda *_: Text("odd")])
def test_no_method_keeps_an_exception_from_being_described(method: str, does: Callable[..., Any]) -> None:
    found = describe(raised({method: does}))

    assert found.type == "Odd"
    assert type(found.message) is str
    assert found.traceback


def test_what_is_said_of_an_exception_without_a_text() -> None:
    assert describe(raised({"__str__": fail})).message == "(Odd has no text: its __str__ raised RuntimeError)"
    assert describe(raised({"__str__": lambda _: None})).message == "(Odd has no text: its __str__ raised TypeError)"
    assert str(describe(ValueError("three"))) == "ValueError: three"


@pytest.mark.parametrize(
    "members", [{"__module__": 5}, {"__cause__": 5}, {"__notes__": 5}, {"__traceback__": property(fail)}]
)
def test_odd_members_leave_the_rest(members: dict[str, Any]) -> None:
    found = describe(raised(members))

    assert (found.type, found.message) == ("Odd", "said")
    assert "in raised" in found.traceback, "where it was raised"


def test_a_metaclass_may_not_name_it_either() -> None:
    class Named(type):
        __name__ = property(fail)

    kind = Named("Real", (Exception,), {})
    assert describe(kind("said")).type == "Real"


def test_an_error_is_bounded_and_storable() -> None:
    error = JobError(Reason.EXCEPTION, "T" * 100_000, "m\0\ud800" * 100_000, 1, "t" * 100_000)

    assert (len(error.type), len(error.message), len(error.traceback or "")) <= (200, 4_000, 32_000)
    assert error.message.startswith("m\ufffd\ufffdm")
    assert JobError(Reason.EXCEPTION, "T", "m", 1).traceback is None
