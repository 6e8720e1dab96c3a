"""The Accept header (RFC 9110, section 12.5.1) of resources with two forms."""

from __future__ import annotations

import re
from typing import Final

#: "Not acceptable" (RFC 9110, section 12.4.2).
_WEIGHT_ZERO: Final = re.compile(r"q=0(\.0{0,3})?", re.IGNORECASE)


def accepts(header: str, media_type: str) -> bool:
    """Return whether an Accept header names this media type with a weight above 0.

    ``*/*`` is no such name: clients that send it expect JSON.
    """
    return any(_names(media_range, media_type) for media_range in header.split(","))


def _names(media_range: str, media_type: str) -> bool:
    named, *parameters = (part.strip() for part in media_range.split(";"))
    return named.lower() == media_type and not any(map(_WEIGHT_ZERO.fullmatch, parameters))
