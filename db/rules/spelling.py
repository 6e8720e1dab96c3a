"""What somebody may have meant who wrote a name that does not exist. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Collection


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return `` Did you mean 'this'?`` with the nearest of the names that there are; empty if none is near."""
    near = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
