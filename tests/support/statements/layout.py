"""SQL on lines that can be read. Only white space changes: every token stays, in its place and as it is written.

None of the formatters that are around does this: sqlglot writes statements anew (``now()`` becomes another function),
sqlparse splits FOR UPDATE and indents by the width of what stands to the left, sqlfmt puts all in lower case and an
UPDATE into the WITH before it, sqlfluff takes seconds a statement; and most give every one of forty columns a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_WIDTH: Final = 120
_INDENT: Final = 4
_TOKEN: Final = re.compile(r"(\s*)(AS [^\s(),'\"]+|'(?:[^']|'')*'|\"[^\"]*\"|[(),]|[^\s(),'\"]+)")
#: What begins a line of its own, and what hides such a word: the longest first.
_HEAD: Final = re.compile(
    r"(?:WITH TIME ZONE|(?P<clause>WITH(?: RECURSIVE)?|SELECT|FROM|(?:LEFT OUTER )?JOIN|WHERE|(?:GROUP|ORDER) BY|LIMIT"
    r"|OFFSET|FOR (?:UPDATE|SHARE)|UNION ALL|INSERT INTO|UPDATE|DELETE FROM|USING|SET|VALUES|ON CONFLICT|DO UPDATE SET"
    r"|RETURNING)|(?P<either>OR)|(?P<both>AND)|(?P<choice>WHEN|ELSE|END)|IS (?:NOT )?DISTINCT FROM"
    r"|BETWEEN \S+ AND)(?!\w)"
)


@dataclass(frozen=True, slots=True)
class _Part:
    """A token, or what stands in parentheses; ``gap`` is the space before it, if any."""

    gap: str
    text: str
    inside: list[_Part] | None = None


def laid_out(sql: str) -> str:
    """Return the statement with clauses on lines of their own."""
    return "\n".join(_block(list(_parts(iter(_TOKEN.findall(sql)))), 0))


def _parts(found: Iterator[tuple[str, str]]) -> Iterator[_Part]:
    for gap, token in found:
        if token == ")":
            return
        inside = list(_parts(found)) if token == "(" else None
        yield _Part(gap and " ", token if inside is None else f"({_flat(inside)})", inside)


def _flat(parts: list[_Part]) -> str:
    return "".join(part.gap + part.text for part in parts).strip()


def _split(parts: list[_Part], kind: str) -> list[list[_Part]]:
    """Return the parts in front of the first head of this kind, if any, and from each such head to the next."""
    pieces: list[list[_Part]] = [[]]
    hidden = 0
    for at, part in enumerate(parts):
        head = None if hidden or part.inside is not None else _HEAD.match(_flat(parts[at : at + 4]))
        if head is not None and head[kind] and pieces[-1]:
            pieces.append([])
        hidden = len(head[0].split()) - 1 if head is not None else max(0, hidden - 1)
        pieces[-1].append(part)
    return pieces


def _items(parts: list[_Part]) -> list[list[_Part]]:
    items: list[list[_Part]] = [[]]
    for part in parts:
        items[-1].append(part)
        if part.text == ",":
            items.append([])
    return items


def _block(parts: list[_Part], indent: int) -> list[str]:
    """Return the lines of a statement, or of what stands in parentheses."""
    return [line for clause in _split(parts, "clause") for line in _clause(clause, indent)]


def _clause(parts: list[_Part], indent: int) -> list[str]:
    margin = " " * indent
    head = _HEAD.match(_flat(parts[:4]))
    words = len(head["clause"].split()) if head is not None and head["clause"] else 0
    if words and parts[0].text == "WITH":
        return [line for item in _items(parts) for line in _common_table(item, indent)]
    if len(margin + _flat(parts)) <= _WIDTH:
        return [margin + _flat(parts)]
    items = _items(parts[words:])
    if len(items) > 1:
        above = [margin + _flat(parts[:words])] if words else []
        return above + _filled(items, indent + _INDENT * bool(words))
    lines = [margin]
    _open(lines, parts, indent, step=_INDENT * bool(words))
    return lines


def _common_table(parts: list[_Part], indent: int) -> list[str]:
    margin = " " * indent
    [(at, inside)] = [(at, part.inside) for at, part in enumerate(parts) if part.inside is not None]
    return [
        f"{margin}{_flat(parts[:at])} (",
        *_block(inside, indent + _INDENT),
        f"{margin}){_flat(parts[at + 1 :])}",
        "",
    ]


def _filled(items: list[list[_Part]], indent: int) -> list[str]:
    """Return lines as full as can be; what no line can hold has several to itself."""
    lines = [" " * indent]
    for item in items:
        if _added(lines, item, indent):
            continue
        if lines[-1].strip():
            lines.append(" " * indent)
        if not _added(lines, item, indent):
            _open(lines, item, indent)
            if item is not items[-1]:
                lines.append(" " * indent)
    return lines


def _added(lines: list[str], parts: list[_Part], indent: int) -> bool:
    """Put the parts on the last line if there is room."""
    line = lines[-1] + (parts[0].gap if len(lines[-1]) > indent else "") + _flat(parts)
    if len(line) <= _WIDTH:
        lines[-1] = line
    return len(line) <= _WIDTH


def _open(lines: list[str], item: list[_Part], indent: int, *, step: int = _INDENT) -> None:
    """Put an item on several lines: each choice of a CASE or each condition on one, parentheses as blocks."""
    kinds = {"choice": _INDENT, "either": step, "both": step}
    found = ((split, within) for kind, within in kinds.items() if len(split := _split(item, kind)) > 1)
    (first, *others), within = next(found, ([item], step))
    for piece in (first, *others):
        margin = " " * (indent if piece is first or piece[0].text.startswith("END") else indent + within)
        if piece is not first:
            lines.append(margin)
        for part in piece:
            if _added(lines, [part], len(margin)):
                continue
            if part.inside is None:
                lines.append(f"{margin}{' ' * _INDENT}{part.text}")
            else:
                lines[-1] += f"{part.gap}("
                lines += [*_block(part.inside, len(margin) + _INDENT), f"{margin})"]
