"""Who writes the state of a job: the verbs in ``db/transitions``, and nobody else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.architecture.source import modules, texts

STATE = {"jobs", "job_history", "job_attempts"}
WRITES = {"insert", "update", "delete"}
SQL = re.compile(
    rf"\b(insert\s+into|update|delete\s+from|copy)\s+(only\s+)?(callboard\.)?({'|'.join(STATE)})\b", re.IGNORECASE
)


def writes(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield (verb, table) of each ``insert(jobs)``, ``jobs.insert()`` and their like."""
    aliases = {
        alias.asname: alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in WRITES:
            yield function.attr, name_of(function.value, aliases)
        if name_of(function, aliases) in WRITES and node.args:
            yield name_of(function, aliases), name_of(node.args[0], aliases)


def name_of(node: ast.expr, aliases: dict[str | None, str]) -> str:
    """The last name of ``a.b.name``, by the name that it was imported under."""
    match node:
        case ast.Name(id=name):
            return aliases.get(name, name)
        case ast.Attribute(attr=name):
            return name
    return ""


def test_only_transitions_write_states() -> None:
    found = {
        (path, verb, table)
        for path, tree in modules().items()
        if not path.startswith("db/transitions/")
        for verb, table in writes(tree)
        if table in STATE
    }

    assert found == {("db/attempt/progress.py", "update", "jobs")}


def test_progress_writes_nothing_but_progress() -> None:
    values = [
        keyword.arg
        for node in ast.walk(modules()["db/attempt/progress.py"])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "values"
        for keyword in node.keywords
    ]

    assert set(values) == {"progress", "revision"}


def test_no_sql_in_text_writes_states() -> None:
    assert [(path, text) for path, tree in modules().items() for text in texts(tree) if SQL.search(text)] == []


@pytest.mark.parametrize(
    "source",
    [
        "update(jobs)",
        "models.jobs.update()",
        "delete(models.job_history)",
        "from sqlalchemy import insert as put\nput(job_attempts)",
        "from callboard.db.models import jobs as live\nsa.delete(live)",
    ],
)
def test_the_check_sees_every_way_to_write(source: str) -> None:
    assert [table for _, table in writes(ast.parse(source)) if table in STATE]


@pytest.mark.parametrize("sql", ["UPDATE callboard.jobs SET", "insert  into job_history", "DELETE FROM ONLY jobs"])
def test_the_check_sees_sql(sql: str) -> None:
    assert SQL.search(sql)


def test_verbs_are_what_the_package_offers() -> None:
    """Every module that writes states is reached through ``callboard.db.transitions``, not around it."""
    around = [
        (path, node.module)
        for path, tree in modules().items()
        if not path.startswith("db/transitions/")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("callboard.db.transitions.")
    ]

    assert around == []
