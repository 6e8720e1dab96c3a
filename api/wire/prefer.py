"""``Prefer: respond-async`` and ``Prefer: wait=N`` (RFC 7240): how long a submission waits for its job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Preference:
    """How long to wait, and how to tell the client."""

    wait: float = 0.0
    """Seconds; 0 answers at once."""
    applied: str | None = None
    """Value of Preference-Applied; None if nothing was asked for."""

    @classmethod
    def read(cls, header: str | None, *, longest: float) -> Self:
        """Return what the Prefer header asks for. What is unknown or malformed is left alone, as the RFC wants.

        ``wait`` wins over ``respond-async``: together they mean to answer asynchronously after that time.
        """
        applied = None
        for preference in (header or "").split(","):
            name, _, value = preference.partition(";")[0].partition("=")
            value = value.strip().strip('"')
            match name.strip().lower():
                case "wait" if value.isascii() and value.isdigit() and len(value) < 10:
                    seconds = min(float(value), longest)
                    return cls(seconds, f"wait={seconds:g}")
                case "respond-async":
                    applied = "respond-async"
        return cls(applied=applied)
