"""The JSON values that may be stored: what one side accepts, every other can give back. Pure.

The rule holds for payloads, tags and all else in a request, for results, checkpoints and the results of steps.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final

import orjson

from callboard.db.errors import FieldError
from callboard.db.rules.json_pointer import pointer
from callboard.db.rules.text import has_unstorable

Path = tuple[object, ...]

#: Text that may decode to such a value. Bodies without it, nearly all, need not be decoded and traversed.
_SUSPICIOUS: Final = re.compile(rb"\\u0000|NaN|Infinity|[eE]\+?[0-9]{3}|[0-9]{19}")
_LONG_NUMBER: Final = re.compile(r"[0-9]{19}")
_SMALLEST_INTEGER: Final = -(2**63)
_LARGEST_INTEGER: Final = 2**64 - 1


def is_suspicious(body: bytes) -> bool:
    """Return whether JSON text may hold a value that :func:`unstorable` finds."""
    return _SUSPICIOUS.search(body) is not None


def unstorable(value: Any) -> Iterator[FieldError]:
    """Yield an error, with a pointer into ``value``, for each part of a decoded JSON value that cannot be stored.

    These parts are strings with a NUL character (PostgreSQL has none) or half a surrogate pair (UTF-8 has none),
    numbers that are not finite (JSON has none), and integers beyond 64 bits (parsers would round or refuse them).
    """
    for path, item in parts(value):
        match item:
            case str() if has_unstorable(item):
                yield FieldError("a string must hold neither a NUL character nor half a surrogate pair", pointer(path))
            case float() if not math.isfinite(item):
                yield FieldError("a number must be finite", pointer(path))
            case int() if not _SMALLEST_INTEGER <= item <= _LARGEST_INTEGER:
                yield FieldError("an integer must fit into 64 bits; send larger ones as strings", pointer(path))
            case dict() if any(has_unstorable(key) for key in item):
                yield FieldError("a name must hold neither a NUL character nor half a surrogate pair", pointer(path))


def doubled_names(text: bytes) -> Iterator[FieldError]:
    """Yield an error for each object in JSON text that has a name twice, such as of the keys 1 and "1" in Python.

    JSON parsers, PostgreSQL's included, would keep the last of the two.
    """
    for path, item in parts(json.loads(text, object_pairs_hook=_object, parse_int=str)):
        if isinstance(item, _Doubled):
            yield FieldError(f"two keys have the name {item.name[:100]!r} in JSON", pointer(path))


class _Doubled:
    def __init__(self, name: str) -> None:
        self.name = name


def _object(pairs: list[tuple[str, Any]]) -> object:
    decoded = dict(pairs)
    if len(decoded) == len(pairs):
        return decoded
    names = [name for name, _ in pairs]
    return _Doubled(next(name for name in names if names.count(name) > 1))


def parts(value: Any) -> Iterator[tuple[Path, Any]]:
    """Yield a value and all that it holds, each with its path, in the order of the text."""
    todo: list[tuple[Path, Any]] = [((), value)]
    while todo:
        path, item = todo.pop()
        yield path, item
        match item:
            case dict():
                todo.extend(((*path, key), child) for key, child in reversed(item.items()))
            case list() | tuple() | set() | frozenset():
                todo.extend(((*path, index), child) for index, child in reversed(list(enumerate(item))))


def with_floats(text: str) -> str:
    """Return JSON from ``jsonb`` with its numbers beyond 64 bits as the floats that they were when they were stored.

    PostgreSQL writes 1e20 as 100000000000000000000, which Python would read as an integer.
    """
    return text if _LONG_NUMBER.search(text) is None else orjson.dumps(orjson.loads(text)).decode()
