"""What Pydantic finds wrong with a JSON value, as errors with pointers into that value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from pydantic_core import ErrorDetails

from callboard.actors.types.findings import MOST_FINDINGS
from callboard.db.errors import FieldError
from callboard.db.rules.json_pointer import pointer

#: Of the ways to read one location; it has more than one where a name of Pydantic's is also one of the value's.
_MOST_READINGS: Final = 200
_KEY: Final = "[key]"
_PREFIXES: Final = ("Value error, ", "Assertion failed, ")
_MISSING: Final = object()

Path = tuple[int | str, ...]


def field_errors(details: Sequence[ErrorDetails], value: Any, *prefix: object) -> list[FieldError]:
    """Return the first 100 of Pydantic's errors as those of the domain.

    Args:
        details: the errors.
        value: what was validated, as JSON values.
        prefix: goes before each pointer.
    """
    found = [FieldError(message_of(item), pointer((*prefix, *_place(item, value)))) for item in details[:MOST_FINDINGS]]
    # The members of a union find the same fault, each for itself.
    return list(dict.fromkeys(found))


def errors_of(details: Sequence[ErrorDetails]) -> list[FieldError]:
    """Return Pydantic's errors about a value that is not JSON; the pointers are its own locations."""
    return [FieldError(message_of(item), pointer(item["loc"])) for item in details]


def message_of(item: ErrorDetails) -> str:
    """Return what an error says, without Pydantic's own words before what a validator said."""
    message = item["msg"]
    if item["type"] == "extra_forbidden":
        return "there is no such field"
    for prefix in _PREFIXES:
        message = message.removeprefix(prefix)
    return f"its name: {message}" if list(item["loc"][-1:]) == [_KEY] else message


def _place(item: ErrorDetails, value: Any) -> Path:
    """Return the part of an error's location that leads into the value.

    Pydantic puts in names of its own: those of a union's members, of validators, and ``[key]``.
    """
    location: Path = tuple(item["loc"])  # a list where it was read from JSON
    if location[-1:] == (_KEY,):
        return next(_readings(value, location[:-1]))[0]
    # A field that is missing leads nowhere: it is in the object that was given instead.
    absent = location[-1:] if item["type"] == "missing" else ()
    readings = list(islice(_readings(value, location[: len(location) - len(absent)]), _MOST_READINGS))
    fitting = (path for path, found in readings if _alike(found, item.get("input", _MISSING)))
    return next(fitting, readings[0][0]) + absent


def _readings(value: Any, location: Path) -> Iterator[tuple[Path, Any]]:
    """Yield the paths into the value that a location may mean, the longest first, each with what is there."""
    if not location:
        yield (), value
        return
    part, rest = location[0], location[1:]
    child = _child(value, part)
    if child is not _MISSING:
        for path, found in _readings(child, rest):
            yield (part, *path), found
    yield from _readings(value, rest)


def _child(value: Any, part: int | str) -> Any:
    match value:
        case Mapping():
            return value.get(part, _MISSING)
        case list() | tuple() if isinstance(part, int) and part < len(value):
            return value[part]
    return _MISSING


def _alike(found: Any, given: Any) -> bool:
    """Return whether these may be the same value, at the cost of its outermost names."""
    if found is given:
        return True
    match found, given:
        case dict(), dict():
            return found.keys() == given.keys()
        case list(), list():
            return len(found) == len(given)
    return type(found) is type(given) and bool(found == given)
