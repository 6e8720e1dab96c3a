"""Writes docs/sql, the statements that the code sends, from a PostgreSQL that receives them: ``make sql``."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from callboard.db import transitions
from callboard.db.sql.engine import Database
from tests.support.databases import Databases, settings_of
from tests.support.servers import ALL, Servers
from tests.support.statements.callers import callers_of
from tests.support.statements.layout import laid_out
from tests.support.statements.others import OTHERS
from tests.support.statements.sent import Sent, sent_by
from tests.support.statements.stage import Example, Stage
from tests.support.statements.verbs import VERBS

FOLDER = Path(__file__).with_name("sql")
README = "README.md"
#: Where the part of the page begins that is made here.
TABLE = "## The files\n"

Function = Callable[..., object]
Cases = Sequence[tuple[Example, Sequence[Sent]]]
#: Characters of a parameter's value that are shown.
_LONGEST_VALUE = 70


def captured(emptied: Callable[[], str]) -> Mapping[str, Cases]:
    """Return what every example sends, by the name of its file.

    Args:
        emptied: empties a migrated database and returns its URL, with a superuser.
    """
    found: dict[str, list[tuple[Example, Sequence[Sent]]]] = defaultdict(list)
    for example in (*VERBS, *OTHERS):
        with closing(Database(settings_of(emptied()), role="sql")) as database:
            stage = Stage(database)
            with database.autocommit() if example.autocommit else database.begin() as connection:
                sent = sent_by(connection, lambda connection: example.call(connection, stage))  # noqa: B023
        found[f"{example.functions[0].__name__}.sql"].append((example, sent))
    return found


def texts(found: Mapping[str, Cases]) -> dict[str, str]:
    """Return the text of each file in docs/sql."""
    written: dict[str, tuple[str, int]] = {}
    files = {name: f"{_head(name, found)}{_body(name, cases, written)}" for name, cases in found.items()}
    prose, _, _ = (FOLDER / README).read_text(encoding="utf-8").partition(TABLE)
    return {**files, README: f"{prose}{TABLE}\n{_table(found)}"}


def _head(name: str, found: Mapping[str, Cases]) -> str:
    """Return what the file is about, and which other functions send some of its statements."""
    sent = {other: {statement.sql for _, sent in cases for statement in sent} for other, cases in found.items()}
    text = "--\n".join(_about(function) for function in found[name][0][0].functions)
    sharing = [other.removesuffix(".sql") for other in sent if other != name and sent[other] & sent[name]]
    return f"{text}--\n-- Some of it is also sent by: {', '.join(sharing)}.\n" if sharing else text


def _body(name: str, cases: Cases, written: dict[str, tuple[str, int]]) -> str:
    """Return the statements of one file; ``written``: where those stand that have been written before."""
    text = ""
    number = 0
    for example, sent in cases:
        if example.case:
            text += f"\n-- Case: {example.case}.\n"
        for statement in sent:
            if statement.sql not in written:
                number += 1
                written[statement.sql] = (name, number)
                head = f"-- Statement {number}.\n{_parameters(statement)}"
                text += f"\n{head}{laid_out(f'{statement.sql.strip()};')}\n"
            else:
                file, known = written[statement.sql]
                place = "" if file == name else f" of {file}"
                text += f"\n-- As before: statement {known}{place}.\n"
    return text


def _parameters(statement: Sent) -> str:
    rows = [
        (f"${number}", parameter.name, parameter.type, _cut(parameter.value or ""))
        for number, parameter in enumerate(statement.parameters, start=1)
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "".join(
        "--   " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n"
        for row in rows
    )


def _cut(value: str) -> str:
    """Return a value that fits into its line: of a sentence, the beginning says enough."""
    return value if len(value) <= _LONGEST_VALUE else f"{value[: _LONGEST_VALUE - 1]}…"


def _about(function: Function) -> str:
    """Return what the function's docstring says, and who calls it."""
    paragraphs = [part for part in _words(function).split("\n\n") if not re.match(r"Args:|Raises:", part)]
    if function.__name__ in _states():
        paragraphs.append("From: {}. To: {}.".format(*_states()[function.__name__]))
    if callers := callers_of(function):
        paragraphs.append(f"Called by: {', '.join(callers)}.")
    lines = [f"{function.__name__} ({_source(function)})", "", *"\n\n".join(paragraphs).splitlines()]
    return "".join(f"-- {line}".rstrip() + "\n" for line in lines)


def _words(function: Function) -> str:
    return _plain(inspect.getdoc(function) or "")


def _plain(docstring: str) -> str:
    return re.sub(r":\w+:`([^`]+)`|``([^`]+)``", r"\1\2", docstring)


def _source(function: Function) -> str:
    return function.__module__.removeprefix("callboard.").replace(".", "/") + ".py"


@cache
def _states() -> Mapping[str, Sequence[str]]:
    """Return from which states to which the verbs move a job, as the docstring of their package has it."""
    rows = [re.split(r"\s{2,}", line) for line in _plain(transitions.__doc__ or "").split("=\n")[2].splitlines()]
    return {name: row[1:] for row in rows if len(row) == 3 for name in re.split(r" / |, ", row[0])}


def _table(found: Mapping[str, Cases]) -> str:
    """Return the list of the files, by the first words of the docstrings."""
    rows = []
    for name, cases in found.items():
        function = cases[0][0].functions[0]
        about = " ".join(_words(function).partition("\n\n")[0].split())
        rows.append(f"| [{name}]({name}) | {about} | {' → '.join(_states().get(function.__name__, ()))} |\n")
    return f"| file | what it does | from → to |\n|---|---|---|\n{''.join(rows)}"


if __name__ == "__main__":
    with TemporaryDirectory() as directory, closing(Databases(Servers(Path(directory)))) as databases:
        files = texts(captured(lambda: databases.emptied(ALL[-1])))
    for path in FOLDER.glob("*.sql"):
        path.unlink()
    for name, text in files.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
