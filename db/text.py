"""Text from outside (exceptions, handlers) in a form that PostgreSQL can hold."""

from __future__ import annotations

import re

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """Return ``text`` with NUL and lone surrogates (as in undecodable file names) replaced by U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)
