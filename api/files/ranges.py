"""Byte ranges of a download (RFC 9110, section 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

# More digits than any size has; int() of a very long text is slow. Possessive: else a header of 60,000 blanks would be
# divided in all ways, which takes seconds.
_RANGE: Final = re.compile(r"\s*+bytes\s*+=\s*+([0-9]{0,19})\s*+-\s*+([0-9]{0,19})\s*+", re.IGNORECASE)


class RangeNotSatisfiable(Exception):
    """No byte of the file is in the range."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """From ``start`` to before ``stop``; never empty."""

    start: int
    stop: int

    def content_range(self, size: int) -> str:
        """Return the Content-Range header, for a file of ``size`` bytes."""
        return f"bytes {self.start}-{self.stop - 1}/{size}"


def parse_range(header: str, size: int) -> ByteRange | None:
    """Return the range that a Range header selects of a file of ``size`` bytes; None for the whole file.

    Invalid headers, other units and several ranges in one header select the whole file: a server may ignore them
    (RFC 9110, section 14.2).

    Raises:
        RangeNotSatisfiable: the range starts at or after the end.
    """
    match = _RANGE.fullmatch(header)
    if match is None:
        return None
    first, last = match.groups()
    if first:
        start, stop = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    elif last:
        start, stop = max(size - int(last), 0), size
    else:
        return None
    if start >= stop:
        raise RangeNotSatisfiable
    return ByteRange(start, stop)
