"""Makes text of what handlers and exceptions give, storable in PostgreSQL and JSON. Pure."""

from __future__ import annotations

import re

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

#: How cells begin that spreadsheets take for formulas and run (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


def storable(text: str) -> str:
    """Return ``text`` with NUL and lone surrogates (as in undecodable file names) replaced by U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


def has_unstorable(text: str) -> bool:
    """Return whether ``text`` holds a character that :func:`storable` replaces."""
    return _UNSTORABLE.search(text) is not None


def shortened(text: str, limit: int) -> str:
    """Return ``text``, without its middle if it has more than ``limit`` characters."""
    half = (limit - 3) // 2
    return text if len(text) <= limit else f"{text[:half]} … {text[-half:]}"


def never_a_formula(text: str) -> str:
    """Return the text of a CSV cell, behind an apostrophe where a spreadsheet would take it for a formula.

    Numbers stay as they are.
    """
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def said(value: object) -> str:
    """Return ``str(value)``, or why there is none. A plain string: ``__str__`` may return one of a class of its own."""
    try:
        return str.__str__(str(value))
    except Exception as error:  # noqa: BLE001 - whatever a user's __str__ raises
        return f"({name_of(type(value))} has no text: its __str__ raised {name_of(type(error))})"


def shown(value: object) -> str:
    """Return ``repr(value)``, or why there is none."""
    try:
        return str.__str__(repr(value))
    except Exception as error:  # noqa: BLE001 - whatever a user's __repr__ raises
        return f"({name_of(type(value))} cannot be shown: its __repr__ raised {name_of(type(error))})"


def name_of(kind: type) -> str:
    """Return the name of a class, whatever its metaclass makes of ``__name__``."""
    return str.__str__(type.__dict__["__name__"].__get__(kind))
