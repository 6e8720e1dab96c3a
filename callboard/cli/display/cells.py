"""One JSON value on one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rich.text import Text

from callboard.cli.display.formats import number
from callboard.cli.display.terminal import safe

#: On one line, longer lists are cut. Where there is room, their items are shown below each other.
MOST_INLINE_ITEMS: Final = 5
_NONE: Final = "–"


def inline(value: Any) -> Text:
    """Return any JSON value on one line. Long lists are cut."""
    if value is None:
        return Text(_NONE, style="dim")
    if isinstance(value, bool):
        return Text("true" if value else "false")
    if isinstance(value, int | float):
        return Text(number(value))
    if isinstance(value, str):
        return safe(value.replace("\n", "↵"))
    return safe(_list(value) if isinstance(value, list) else _object(value))


def label(name: str) -> str:
    """Return a field's name as words."""
    return name.replace("_", " ")


def is_scalar(value: Any) -> bool:
    """Whether ``value`` is neither an object nor a list."""
    return not isinstance(value, Mapping | list)


def is_number(value: Any) -> bool:
    """Whether ``value`` is a JSON number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _list(values: list[Any]) -> str:
    if not values:
        return _NONE
    parts = [_pair(item) or _part(item) for item in values[:MOST_INLINE_ITEMS]]
    if len(values) > MOST_INLINE_ITEMS:
        parts.append("…")
    return (" · " if _pair(values[0]) else ", ").join(parts)


def _object(value: Mapping[str, Any]) -> str:
    if not value:
        return _NONE
    return _pair(value) or ", ".join(f"{label(key)} {_part(item)}" for key, item in value.items())


def _pair(value: Any) -> str | None:
    """Return an object of ``value`` and one other field as ``red (12)`` if that is a count, else as ``0.5: red``.

    Returns None for anything else.
    """
    if not isinstance(value, Mapping) or len(value) != 2 or "value" not in value:
        return None
    (key,) = value.keys() - {"value"}
    said, of = inline(value[key]), inline(value["value"])
    return f"{of} ({said})" if key == "count" else f"{said}: {of}"


def _part(value: Any) -> str:
    return str(inline(value)) if is_scalar(value) else f"({inline(value)})"
