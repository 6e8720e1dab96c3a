"""What the pages show works: links lead somewhere, commands exist, Python and SQL run."""

from __future__ import annotations

import ast
import re
import shlex
import sysconfig
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from callboard.actors.types.registry import registry
from callboard.cli.app import app
from callboard.db.sql.engine import Database

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*.md")])
BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
#: A path in the text, from the top of the repository, or a pattern of some.
NAMED_PATH = re.compile(r"`((?:\.github|actors|alembic|api|bench|callboard|db|docs|examples|tests)/[^`\s]*)`")


def blocks(page: Path, language: str) -> list[str]:
    return [body for kind, body in BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


def cases(language: str) -> list[pytest.ParameterSet]:
    return [
        pytest.param(body, id=f"{page.relative_to(ROOT)}-{number}")
        for page in PAGES
        for number, body in enumerate(blocks(page, language))
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_exist(page: Path) -> None:
    for path in NAMED_PATH.findall(page.read_text(encoding="utf-8")):
        assert list(ROOT.glob(path)), path


@pytest.mark.parametrize("body", cases("python"))
def test_python_compiles_and_imports(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ast.parse(body)
    # In a registry of its own, or the next test that loads job types would find them.
    monkeypatch.setattr(registry, "_types", {})
    exec(compile(body, "page", "exec"), {"__name__": "page"})


def callboard_commands() -> list[pytest.ParameterSet]:
    return [
        pytest.param(match[1], id=f"{page.name}-{match[1][:40]}")
        for page in PAGES
        for body in blocks(page, "sh")
        for line in body.splitlines()
        if (match := re.match(r"^(?:\w+=\S+ )*callboard (.*?)(?:&|#|$)", line.strip()))
    ]


@pytest.mark.parametrize("command", callboard_commands())
def test_commands_and_their_flags_exist(command: str) -> None:
    words = shlex.split(command)
    names = [word for word in words[:2] if not word.startswith("-")]
    runner = CliRunner()
    known = [
        name
        for name in (names, names[:1])
        if runner.invoke(app, [*name, "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).exit_code == 0
    ]
    assert known, f"no such command: {names}"
    help_text = runner.invoke(app, [*known[0], "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
    for word in words:
        if word.startswith("--"):
            assert word in help_text, f"{names} has no {word}"


@pytest.mark.parametrize("body", cases("sh"))
def test_programs_and_scripts_of_the_checkout_exist(body: str) -> None:
    for word in shlex.split(body, comments=True):
        if word.startswith(".venv/bin/"):
            assert (Path(sysconfig.get_path("scripts")) / word.removeprefix(".venv/bin/")).exists(), word
        elif word.startswith(("tests/", "docs/", "bench/")):
            assert (ROOT / word).exists(), word


def test_the_test_that_contributing_names_exists() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    [(file, name)] = re.findall(r"pytest (\S+) -k (\w+)", text)
    assert re.search(rf"def test_\w*{name}", (ROOT / file).read_text(encoding="utf-8"))


@pytest.mark.parametrize("body", cases("sql"))
def test_sql_runs(body: str, database: Database) -> None:
    with database.begin() as connection:
        for statement in filter(str.strip, body.split(";\n")):
            connection.execute(text(statement.rstrip(";\n")))


def test_every_make_target_that_pages_name_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        for target in re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE):
            assert (target[0] or target[1]) in targets, (page, target)


def test_the_proxy_of_the_page_says_that_it_forwards() -> None:
    (configuration,) = blocks(ROOT / "docs" / "http.md", "nginx")

    # Without it an open server would take everybody for somebody on its machine.
    assert "proxy_set_header X-Forwarded-For " in configuration
