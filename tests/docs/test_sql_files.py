"""docs/sql shows every statement, as PostgreSQL receives it."""

from __future__ import annotations

import inspect
import re
import runpy
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import psycopg
import pytest

from callboard.db import attempt, dispatching, fleet, reads, transitions
from callboard.db.history import rollups
from callboard.db.settings import Settings
from tests.support.databases import Databases
from tests.support.servers import ALL
from tests.support.statements.sent import UTILITY

DOCS = Path(__file__).parents[2] / "docs"
FILES = {path.name: path.read_text(encoding="utf-8") for path in sorted((DOCS / "sql").iterdir())}
STATEMENTS = [name for name in FILES if name.endswith(".sql")]


@pytest.fixture(scope="module")
def generator() -> Mapping[str, Any]:
    return runpy.run_path(str(DOCS / "sql_files.py"))


@pytest.fixture(scope="module")
def captured(generator: Mapping[str, Any], databases: Databases) -> Mapping[str, Any]:
    found: Mapping[str, Any] = generator["captured"](lambda: databases.emptied(ALL[-1]))
    return found


def statements_of(text: str) -> Iterator[str]:
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    return (part.strip() for part in "\n".join(lines).split(";") if part.strip())


def test_the_files_are_what_the_code_sends(generator: Mapping[str, Any], captured: Mapping[str, Any]) -> None:
    sent = generator["texts"](captured)
    differing = sorted(name for name in sent.keys() | FILES.keys() if sent.get(name) != FILES.get(name))
    assert differing == [], "what the code sends has changed: run 'make sql'"


def test_the_layout_changes_white_space_only(captured: Mapping[str, Any]) -> None:
    sent = {statement.sql for cases in captured.values() for _, sent in cases for statement in sent}
    shown = [statement for name in STATEMENTS for statement in statements_of(FILES[name])]

    assert sorted(map(squeezed, shown)) == sorted(map(squeezed, sent))
    assert max(len(line) for name in STATEMENTS for line in FILES[name].splitlines()) <= 120


def squeezed(sql: str) -> str:
    """Without white space, but for that in literals. A space that is missing, the planner misses."""
    parts = re.split(r"('[^']*')", sql)
    return "".join(part if part.startswith("'") else "".join(part.split()) for part in parts)


def test_every_verb_has_a_file() -> None:
    shown = {name for text in FILES.values() for name in re.findall(r"^-- (\w+) \(\S+\.py\)$", text, re.MULTILINE)}
    verbs = {name for name in transitions.__all__ if sends(getattr(transitions, name))}
    others = {name for name in rollups.__all__ if sends(getattr(rollups, name))}
    for package in (attempt, dispatching, fleet, reads):
        for found in walk_packages(package.__path__, f"{package.__name__}."):
            module = import_module(found.name)
            others |= {
                name
                for name, value in vars(module).items()
                if not name.startswith("_") and sends(value) and value.__module__ == module.__name__
            }

    assert sorted(verbs - shown) == [], "call them in tests/support/statements/verbs.py"
    assert sorted(others - shown) == [], "call them in tests/support/statements/others.py"


def sends(value: object) -> bool:
    return inspect.isfunction(value) and "connection" in inspect.signature(value).parameters


@pytest.mark.parametrize("name", STATEMENTS)
def test_every_statement_can_be_planned(settings: Settings, name: str) -> None:
    with psycopg.connect(settings.require_database_url()) as connection:
        plannable = connection.info.server_version >= 160000
        for number, statement in enumerate(statements_of(FILES[name])):
            if statement.startswith("COPY"):
                with connection.cursor() as cursor, cursor.copy(statement.encode()):
                    pass
            elif UTILITY.match(statement):
                connection.execute(statement.encode())
            else:
                before = "EXPLAIN (GENERIC_PLAN)" if plannable else f"PREPARE statement_{number} AS"
                connection.execute(f"{before} {statement}".encode())


def test_no_file_says_when_and_where_it_was_made() -> None:
    told = re.compile(r"_\d{4}_\d\d\b|[0-9a-f]{8}-[0-9a-f]{4}-|\d{4}-\d\d-\d\d")
    assert not [name for name in FILES if told.search(FILES[name])]
