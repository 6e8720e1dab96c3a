"""Which modules job types are loaded from, and what is said when one of them does not work."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from callboard.actors.types.loading import load_job_types
from callboard.actors.types.registry import registry
from callboard.db.errors import ConfigurationError

JOB = """
from callboard.actors.types.registry import job

@job("{name}")
def handle(payload: int) -> int:
    return payload
"""

Write = Callable[[str, str], None]


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write modules that can be imported; they and what they registered are forgotten afterwards."""
    before, modules = dict(registry._types), set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, source: str) -> None:
        (tmp_path / f"{name}.py").write_text(source)
        importlib.invalidate_caches()

    yield write
    registry._types.clear()
    registry._types.update(before)
    for name in set(sys.modules) - modules:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def test_named_modules_are_loaded_beside_the_built_in_ones(write_module: Write) -> None:
    write_module("own_jobs", JOB.format(name="own.job"))

    loaded = load_job_types(["own_jobs"], diagnostics=False)

    assert "own.job" in loaded
    assert "table.analyze" in loaded


def test_diagnostics_are_offered_only_where_they_are_wanted(write_module: Write) -> None:
    assert "diagnostics.echo" in load_job_types([], diagnostics=True)
    assert not [made for made in load_job_types([], diagnostics=False) if made.name.startswith("diagnostics.")]


def test_entry_points_of_installed_distributions_are_loaded(write_module: Write, tmp_path: Path) -> None:
    write_module("plugin_jobs", JOB.format(name="plugin.job"))
    about = tmp_path / "plugin-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[callboard.jobs]\nplugin = plugin_jobs\n")

    assert "plugin.job" in load_job_types([], diagnostics=False)


def test_two_modules_with_one_name_are_both_named(write_module: Write, tmp_path: Path) -> None:
    write_module("one_jobs", JOB.format(name="same.job"))
    write_module("two_jobs", JOB.format(name="same.job"))

    with pytest.raises(ConfigurationError, match=r"'same\.job' is defined twice") as caught:
        load_job_types(["one_jobs", "two_jobs"], diagnostics=False)

    assert f"{tmp_path / 'one_jobs.py'}:4" in str(caught.value)
    assert f"{tmp_path / 'two_jobs.py'}:4" in str(caught.value)


def test_a_module_that_is_not_there_is_named_with_the_setting(write_module: Write) -> None:
    with pytest.raises(ConfigurationError, match=r"CALLBOARD_JOB_MODULES names the module 'no_such_jobs'.*PYTHONPATH"):
        load_job_types(["no_such_jobs"], diagnostics=False)


def test_a_module_that_needs_a_missing_one_says_which(write_module: Write) -> None:
    write_module("needy_jobs", "import no_such_library\n")

    with pytest.raises(
        ConfigurationError, match=r"'needy_jobs', which cannot be imported, at .*needy_jobs.py:1: .*'no_such_library'"
    ):
        load_job_types(["needy_jobs"], diagnostics=False)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("\nraise RuntimeError('out of\\norder')\n", "raised RuntimeError on import, at {file}:2: out of order"),
        ("import json\n\njson.loads('no')\n", "raised JSONDecodeError on import, at {file}:3: "),
        ("from no_such_library import x\n", "cannot be imported, at {file}:1: No module named 'no_such_library'"),
        ("\n\ndef\n", "is not valid Python, at {file}:3: invalid syntax"),
        ("import sys\nsys.exit()\n", "called sys.exit() on import, at {file}:2"),
        ("import sys\nsys.exit(3)\n", "called sys.exit(3) on import, at {file}:2"),
        ("import sys\ndef f():\n    sys.exit('no')\nf()\n", "called sys.exit('no') on import, at {file}:3"),
        ("raise BaseException('odd')\n", "raised BaseException on import, at {file}:1: odd"),
        (
            "class Mute(Exception):\n    def __str__(self):\n        return None\nraise Mute\n",
            "raised Mute on import, at {file}:4: (its text cannot be read)",
        ),
        (
            "from callboard import job\n@job('a', time_limit='soon')\ndef f(payload: int): ...\n",
            "'a' at {file}:2: time_limit is 'soon'",
        ),
        (
            "from callboard import register\n\nregister('a', 'broken_jobs:absent')\n",
            "at {file}:3: 'broken_jobs' has no 'absent'",
        ),
    ],
)
def test_what_a_module_does_on_import_is_told_with_its_line(
    write_module: Write, tmp_path: Path, source: str, said: str
) -> None:
    write_module("broken_jobs", source)

    with pytest.raises(ConfigurationError) as caught:
        load_job_types(["broken_jobs"], diagnostics=False)

    assert said.format(file=tmp_path / "broken_jobs.py") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_line_of_a_module_is_told_that_another_one_imports(write_module: Write, tmp_path: Path) -> None:
    write_module("inner_jobs", "x = 1\n1 / 0\n")
    write_module("outer_jobs", "import inner_jobs\n")

    with pytest.raises(ConfigurationError, match=rf"'outer_jobs', which raised .* at {tmp_path}/inner_jobs.py:2: divi"):
        load_job_types(["outer_jobs"], diagnostics=False)


def test_a_module_that_another_of_its_name_hides_is_told_so(write_module: Write) -> None:
    with pytest.raises(ConfigurationError, match=r"No module named 'alembic.jobs'. 'alembic' is .*alembic/__init__.py"):
        load_job_types(["alembic.jobs"], diagnostics=False)


def test_a_broken_entry_point_is_named(write_module: Write, tmp_path: Path) -> None:
    about = tmp_path / "plugin-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[callboard.jobs]\nplugin = no_such_plugin\n")

    with pytest.raises(ConfigurationError, match="entry point 'plugin' names the module 'no_such_plugin'"):
        load_job_types([], diagnostics=False)
