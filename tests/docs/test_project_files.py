"""What tells the forge and people how this project is run fits what there is."""

from __future__ import annotations

import re
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FORGE = ROOT / ".github"
WORKFLOWS = sorted(FORGE.glob("workflows/*.yml"))
YAML = sorted([*FORGE.rglob("*.yml"), ROOT / ".pre-commit-config.yaml"])
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("0*.md"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def load(path: Path) -> dict[str, Any]:
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def commands(workflow: Path) -> Iterator[str]:
    for job in load(workflow)["jobs"].values():
        for step in job.get("steps", []):
            yield from step.get("run", "").splitlines()


@pytest.mark.parametrize("path", YAML, ids=name)
def test_it_is_yaml(path: Path) -> None:
    assert load(path)


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_targets_that_a_workflow_calls_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    called = {match[1] for command in commands(path) if (match := re.match(r"make ([a-z-]+)", command))}
    assert called
    assert called <= targets


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_a_workflow_may_only_read_what_it_does_not_say_otherwise(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job} == (
        {"publish": {"id-token": "write"}} if path.stem == "release" else {}
    )


def test_ci_runs_on_each_python_that_the_package_names_and_both_ends_of_postgresql() -> None:
    matrix = load(FORGE / "workflows" / "ci.yml")["jobs"]["test"]["strategy"]["matrix"]
    named = [label.rpartition(" ")[2] for label in PYPROJECT["project"]["classifiers"] if ":: Python :: 3." in label]
    [postgresql] = set(re.findall(r"PostgreSQL (\d+ to \d+)", (ROOT / "docs" / "settings.md").read_text("utf-8")))
    assert matrix["python"] == named
    assert " to ".join(matrix["postgresql"]) == postgresql


def test_what_is_published_is_what_ci_has_built() -> None:
    jobs = load(FORGE / "workflows" / "release.yml")["jobs"]
    assert (jobs["ci"]["needs"], jobs["publish"]["needs"]) == ("tag", "ci")
    [uploaded] = [
        step["with"]
        for step in load(FORGE / "workflows" / "ci.yml")["jobs"]["packaging"]["steps"]
        if step.get("uses", "").startswith("actions/upload-artifact")
    ]
    downloaded = jobs["publish"]["steps"][0]["with"]
    assert downloaded["name"] == uploaded["name"]


def test_hooks_call_tools_of_the_environment() -> None:
    [repository] = load(ROOT / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        tool = Path(hook["entry"].split()[0])
        assert (tool.parent, hook["language"]) == (Path(".venv/bin"), "system")
        assert (Path(sysconfig.get_path("scripts")) / tool.name).exists()


@pytest.mark.parametrize("page", DECISIONS, ids=name)
def test_a_decision_has_a_status_and_a_date_and_is_listed(page: Path) -> None:
    title, _, status = page.read_text(encoding="utf-8").splitlines()[:3]
    assert re.fullmatch(
        r"Status: (accepted|superseded by \[\d{4}\]\(\S+\))\. Date: \d{4}-\d\d-\d\d(, revised \d{4}-\d\d-\d\d)?\.",
        status,
    )
    row = f"| [{page.name[:4]}]({page.name}) | {title.removeprefix('# ')} |"
    assert row in (page.parent / "README.md").read_text(encoding="utf-8").splitlines()
