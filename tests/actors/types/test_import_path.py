"""Where job modules are looked for, and that a project's own names hide no library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_SETTLED = """
import importlib, json, sys
from callboard.actors.types.import_path import settle_import_path

said = settle_import_path()
found = {name: importlib.import_module(name).__file__ for name in sys.argv[1:]}
print(json.dumps({"said": said, "found": found}))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project's folder with names that libraries have, and one that none has."""
    for name in ("alembic", "pydantic", "api", "tests"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    for name in ("db.py", "queue.py", "own_jobs.py"):
        (tmp_path / name).touch()
    return tmp_path


def settled(*modules: str, within: Path, **environment: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", _SETTLED, *modules],
        cwd=within,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(done.stdout)


def test_modules_of_the_current_directory_are_found_and_hide_no_library(project: Path) -> None:
    end = settled("alembic", "pydantic", "queue", "db", "own_jobs", within=project, PYTHONPATH="")

    assert [name for name, file in end["found"].items() if file.startswith(str(project))] == ["db", "own_jobs"]
    assert end["said"] == []


def test_a_folder_of_pythonpath_that_hides_a_library_goes_last(project: Path, tmp_path_factory: Any) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (project / "queue.py").unlink()  # which would stop any program of Python's before it begins

    end = settled("alembic", "pydantic", "db", "own_jobs", within=elsewhere, PYTHONPATH=str(project))

    assert [name for name, file in end["found"].items() if file.startswith(str(project))] == ["db", "own_jobs"]
    [said] = end["said"]
    assert said.startswith(f"{project} on PYTHONPATH has a module 'alembic'")


def test_a_folder_of_pythonpath_that_hides_no_library_stays_first(tmp_path: Path) -> None:
    # Nothing that Callboard needs, though the tests do: whoever puts it there means it.
    (tmp_path / "pytest.py").touch()

    end = settled("pytest", within=tmp_path, PYTHONPATH=str(tmp_path))

    assert end == {"said": [], "found": {"pytest": str(tmp_path / "pytest.py")}}
