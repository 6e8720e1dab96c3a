"""Headers by which browsers keep responses from being framed, sniffed, shared and stored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

Header = tuple[bytes, bytes]

_ALWAYS: Final[tuple[Header, ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_NOT_STORED: Final = (*_ALWAYS, (b"cache-control", b"no-store"))
#: A copy with an entity tag may be kept, and is revalidated before each use.
_REVALIDATED: Final = (*_ALWAYS, (b"cache-control", b"private, no-cache"))
_NAMES: Final = frozenset(name for name, _ in _NOT_STORED)


def secured(headers: Iterable[Header]) -> list[Header]:
    """Return a response's headers, and those of security that it does not set itself. Names are in lower case."""
    given = list(headers)
    names = {name for name, _ in given}
    added = _REVALIDATED if b"etag" in names else _NOT_STORED
    if names.isdisjoint(_NAMES):
        return [*given, *added]
    return [*given, *(header for header in added if header[0] not in names)]
