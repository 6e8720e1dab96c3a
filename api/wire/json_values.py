"""JSON values that PostgreSQL and every reader of JSON can hold. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, Final

from callboard.api.wire.pointers import pointer
from callboard.db.errors import FieldError

#: What may decode to a value that cannot be stored. Bodies without it, nearly all, are not walked through.
_SUSPICIOUS: Final = re.compile(rb"\\u0000|NaN|Infinity|[eE]\+?[0-9]{3}|[0-9]{19}")
_SMALLEST_INTEGER: Final = -(2**63)
_LARGEST_INTEGER: Final = 2**64 - 1


def is_suspicious(body: bytes) -> bool:
    """Whether JSON text may hold what :func:`unstorable` finds."""
    return _SUSPICIOUS.search(body) is not None


def unstorable(value: Any) -> Iterator[FieldError]:
    """Yield what of a decoded JSON value cannot be stored as it is, with pointers into it.

    These are strings with a NUL character (PostgreSQL has none), numbers that are not finite (neither has JSON), and
    integers beyond 64 bits (readers would round them).
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
