"""Makes text from exceptions and handlers storable in PostgreSQL and JSON. Pure."""

from __future__ import annotations

import re

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# A NUL character in JSON text: \u0000 whose backslash is not itself escaped.
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

#: How cells begin that spreadsheets take for formulas and run (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


def storable(text: str) -> str:
    """Return ``text`` with NUL and lone surrogates (as in undecodable file names) replaced by U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


def shortened(text: str, limit: int) -> str:
    """Return ``text``, without its middle if it has more than ``limit`` characters."""
    half = (limit - 3) // 2
    return text if len(text) <= limit else f"{text[:half]} … {text[-half:]}"


def never_a_formula(text: str) -> str:
    """Return the text of a CSV cell, behind an apostrophe where a spreadsheet would take it for a formula.

    Numbers stay as they are.
    """
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def has_nul(json: bytes) -> bool:
    """Return whether a string in this JSON text holds a NUL character, which ``jsonb`` cannot store."""
    return b"\\u0000" in json and _ESCAPED_NUL.search(json) is not None
