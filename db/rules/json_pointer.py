"""JSON pointers (RFC 6901) to the part of a value that an error is about. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def pointer(parts: Iterable[object]) -> str:
    """Return the pointer to the value at a path of names and indices; "" is the whole document."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
