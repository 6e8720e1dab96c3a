"""JSON values that PostgreSQL or common JSON parsers cannot hold. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, Final

from callboard.db.errors import FieldError
from callboard.db.rules.json_pointer import pointer

#: Text that may decode to such a value. Bodies without it, nearly all, need not be decoded and traversed.
_SUSPICIOUS: Final = re.compile(rb"\\u0000|NaN|Infinity|[eE]\+?[0-9]{3}|[0-9]{19}")
_SMALLEST_INTEGER: Final = -(2**63)
_LARGEST_INTEGER: Final = 2**64 - 1


def is_suspicious(body: bytes) -> bool:
    """Return whether JSON text may hold a value that :func:`unstorable` finds."""
    return _SUSPICIOUS.search(body) is not None


def unstorable(value: Any) -> Iterator[FieldError]:
    """Yield an error, with a pointer into ``value``, for each part of a decoded JSON value that cannot be stored.

    These parts are strings with a NUL character (PostgreSQL has none), numbers that are not finite (JSON has none), and
    integers beyond 64 bits (parsers would round them).
    """
    todo: list[tuple[tuple[object, ...], Any]] = [((), value)]
    while todo:
        path, item = todo.pop()
        match item:
            case str() if "\0" in item:
                yield FieldError("a string must not hold a NUL character", pointer(path))
            case float() if not math.isfinite(item):
                yield FieldError("a number must be finite", pointer(path))
            case int() if not _SMALLEST_INTEGER <= item <= _LARGEST_INTEGER:
                yield FieldError("an integer must fit into 64 bits; send larger ones as strings", pointer(path))
            case dict():
                if any("\0" in key for key in item):
                    yield FieldError("a name must not hold a NUL character", pointer(path))
                todo.extend(((*path, key), child) for key, child in reversed(item.items()))
            case list():
                todo.extend(((*path, index), child) for index, child in reversed(list(enumerate(item))))
