"""The Prefer header (RFC 7240) of submissions: ``respond-async`` and ``wait=N``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Preference:
    """How long a submission waits for its job."""

    wait: float = 0.0
    """Seconds; 0: the response is sent at once."""
    applied: str | None = None
    """The Preference-Applied header; None if the client has no preference."""

    @classmethod
    def read(cls, header: str | None, *, longest: float) -> Self:
        """Return the preference in a Prefer header; unknown and malformed ones are ignored (RFC 7240, section 2).

        ``wait`` takes precedence over ``respond-async``: together they ask for an asynchronous response after the wait.

        Args:
            header: its value; None if there is none.
            longest: most seconds to wait, whatever the client prefers.
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
