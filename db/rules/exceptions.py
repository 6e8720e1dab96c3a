"""What can be said of an exception that somebody's code raised, whatever it does when it is looked at. Pure."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from callboard.db.rules.text import name_of, said


@dataclass(frozen=True, slots=True)
class Described:
    """An exception in words."""

    type: str
    """Name of its class."""
    message: str
    traceback: str

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


def describe(error: BaseException) -> Described:
    """Return what can be said of ``error``. Raises nothing, whatever its ``__str__``, ``__bool__`` and the like do."""
    kind = name_of(type(error))
    try:
        message = said(error)
    except BaseException as odd:  # noqa: BLE001 - __str__ may even exit
        message = f"({kind} has no text: its __str__ raised {name_of(type(odd))})"
    try:
        trace = "".join(traceback.format_exception(error))
    except BaseException:  # noqa: BLE001 - it looks at __bool__, __cause__, __notes__ and __module__
        frames = BaseException.__dict__["__traceback__"].__get__(error)
        trace = "".join(("Traceback (most recent call last):\n", *traceback.format_tb(frames), f"{kind}: {message}\n"))
    return Described(kind, message, trace)
