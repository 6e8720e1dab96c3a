"""What import-linter cannot say: who reads the environment, what a process loads, which names cross a border."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.architecture.source import ROOT, imports, modules

#: They hand their own environment on to the processes that they start, or restore it after a handler; none of them
#: looks into it for a setting.
HAND_ON = {
    "actors/execution/process_state.py",
    "callboard/demo/up_process.py",
    "callboard/processes/supervisor.py",
}
SETTINGS = "db/settings.py"

#: Where a process begins.
# The last two are what a user's own program, whose entry point is not here, calls in its place.
ENTRY_POINTS = (
    "actors/worker.py",
    "callboard/cli/",
    "callboard/processes/",
    "callboard/client/transport.py",
    "callboard/integrations/fastapi/connection.py",
)


def test_only_settings_read_the_environment() -> None:
    readers = {
        path
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"})
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and {"environ", "getenv"} & {a.name for a in node.names}
        )
    }

    assert readers == {*HAND_ON, SETTINGS}


def test_only_entry_points_load_settings() -> None:
    loaders = {
        path
        for path, tree in modules().items()
        if path != SETTINGS and "callboard.db.settings.load_settings" in imports(tree)
    }

    assert loaders
    assert [path for path in loaders if not path.startswith(ENTRY_POINTS)] == []


def test_the_api_knows_of_actors_only_what_a_job_type_is() -> None:
    known = {
        ".".join(name.split(".")[:4])
        for path, tree in modules().items()
        if path.startswith("api/")
        for name in imports(tree)
        if name.startswith("callboard.actors")
    }

    assert known <= {
        "callboard.actors.types.registry",
        "callboard.actors.types.run",
        # What does not fit a job type's payload; requests are told of in the same way.
        "callboard.actors.types.field_errors",
        "callboard.actors.types.findings",
    }


def test_no_relative_imports() -> None:
    relative = [
        (path, node.lineno)
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]

    assert relative == []


@pytest.mark.parametrize("folder", ["alembic", "tests"])
def test_folders_that_must_not_be_packages(folder: str) -> None:
    # alembic would shadow the library; tests are imported by path.
    assert list((ROOT / folder).rglob("__init__.py")) == []


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("callboard.api.app", ["dramatiq", "pika", "duckdb", "typer"]),
        ("callboard", ["dramatiq", "pika", "sqlalchemy", "fastapi", "typer"]),
        ("callboard.actors.types.registry", ["dramatiq", "pika", "sqlalchemy", "fastapi"]),
        ("callboard.actors.execution.isolation.child", ["sqlalchemy", "psycopg", "pika", "fastapi"]),
        ("callboard.actors.jobs.table.analyze", ["duckdb", "dramatiq", "fastapi"]),
        ("callboard.db.rules.states", ["sqlalchemy", "pydantic"]),
        ("callboard.db.rules.retry", ["sqlalchemy", "pydantic"]),
        ("callboard.db.rules.outcome", ["sqlalchemy", "pydantic"]),
        ("callboard.db.rules.ids", ["sqlalchemy", "pydantic"]),
    ],
)
def test_what_a_process_does_not_load(module: str, without: list[str]) -> None:
    code = f"import sys, {module}; print(*(name for name in {without!r} if name in sys.modules))"

    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )

    assert (loaded.stdout.split(), loaded.stderr, loaded.returncode) == ([], "", 0)
