"""The result of a job, which is any JSON value, as readable text.

Objects become rows of name and value, lists of objects become tables, and nested ones get a heading of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import ConsoleRenderable, Group
from rich.text import Text

from callboard.cli.display.cells import MOST_INLINE_ITEMS, inline, is_scalar, label
from callboard.cli.display.formats import number
from callboard.cli.display.tables import MOST_ROWS, Rows, fields
from callboard.cli.display.terminal import safe


def render(value: Any) -> ConsoleRenderable:
    """Return any JSON value ready to print at any width."""
    return Group(*_blocks(value, title=None))


def heading(title: str) -> Text:
    """Return the first line of a section, after an empty line."""
    return Text("\n") + safe(label(title), "bold cyan")


def _blocks(value: Any, title: str | None) -> Iterable[ConsoleRenderable]:
    if isinstance(value, Mapping) and value:
        plain = {key: item for key, item in value.items() if _fits_beside_its_name(item)}
        if plain:
            if title is not None:
                yield heading(title)
            yield fields((key, _value(item)) for key, item in plain.items())
        for key, item in value.items():
            if key not in plain:
                yield from _blocks(item, key if title is None else f"{title}.{key}")
    else:
        if title is not None:
            yield heading(title)
        yield Rows(value) if _is_table(value) else _value(value)


def _value(value: Any) -> ConsoleRenderable:
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, list) and len(value) > MOST_INLINE_ITEMS:
        lines = [inline(item) for item in value[:MOST_ROWS]]
        if len(value) > MOST_ROWS:
            lines.append(Text(f"… and {number(len(value) - MOST_ROWS)} more", style="dim"))
        return Group(*lines)
    return inline(value)


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and any(value) and all(isinstance(item, Mapping) for item in value)


def _fits_beside_its_name(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) <= MOST_INLINE_ITEMS and all(is_scalar(item) for item in value)
    return not isinstance(value, Mapping) or not value
