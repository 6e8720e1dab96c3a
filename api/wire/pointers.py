"""JSON pointers (RFC 6901): which part of a request an error is about."""

from __future__ import annotations

from collections.abc import Iterable


def pointer(parts: Iterable[object]) -> str:
    """Return the pointer to a value by the names and indices that lead to it; "" is the whole document."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
