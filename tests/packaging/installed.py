"""Callboard as a user has it: a wheel in an environment, and beside it a project with names that Callboard has, too."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.e2e.processes import Process
from tests.e2e.system import Embedded
from tests.packaging.builds import ROOT

_USER: Final = Path(__file__).with_name("user")
_EXAMPLE: Final = re.compile(r"^```python\n(from callboard import .*?)^```$", re.MULTILINE | re.DOTALL)
_LONGEST_RUN: Final = 60.0


@dataclass(frozen=True)
class Venv:
    """An environment with one wheel installed, which does not see the checkout."""

    directory: Path

    @classmethod
    def make(cls, directory: Path, wheel: Path) -> Venv:
        """Make one, without the network and within two seconds.

        The wheel is installed, what it depends on is not: a ``.pth`` file names the packages of this environment.
        Python runs the ``.pth`` files of an environment's own directory only, and not those of directories that they
        name; so the one that leads to the checkout, as it is installed here for development, is not run.
        """
        venv = cls(directory)
        _run(sys.executable, "-m", "venv", "--without-pip", str(directory))
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(venv.python)]
        _run(*pip, "install", "--quiet", "--no-index", "--no-deps", "--no-compile", str(wheel))
        # After that: pip would take the callboard of this environment for one that is there already.
        dependencies = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        (venv.packages / "dependencies.pth").write_text("\n".join(sorted(dependencies)) + "\n")
        return venv

    @property
    def python(self) -> Path:
        return self.directory / "bin" / "python"

    @property
    def packages(self) -> Path:
        [packages] = self.directory.glob("lib/python*/site-packages")
        return packages

    def command(self, name: str) -> list[str]:
        """Return how a command is started: callboard's as it was installed, a dependency's by the script of here."""
        script = self.directory / "bin" / name
        return [str(script)] if script.exists() else [str(self.python), sysconfig.get_path("scripts") + f"/{name}"]


class Installed(Embedded):
    """A user's project, and what they start in it."""

    def __init__(self, directory: Path, venv: Venv, **settings: str) -> None:
        super().__init__(directory, diagnostics="false", job_modules="greetings,api.main", **settings)
        self.venv = venv
        self.settings["url"] = f"http://127.0.0.1:{self.port}"
        shutil.copytree(_USER, directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        (directory / "api" / "__init__.py").touch()  # not in the checkout: there, tests are no packages
        example = _EXAMPLE.search((ROOT / "README.md").read_text(encoding="utf-8"))
        assert example is not None
        (directory / "greetings.py").write_text(example[1])

    def environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        return {**self.family.environment({**self.settings, **settings}), "PYTHONPATH": "."}

    def start(self, name: str, *command: str, **settings: str) -> Process:
        """Start a command of the environment."""
        program, *arguments = command
        process = self.processes[name] = Process(
            name,
            [*self.venv.command(program), *arguments],
            self.environment(settings),
            self.directory,
            program=(),
        )
        return process

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment to its end."""
        program, *rest = arguments
        return subprocess.run(
            [*self.venv.command(program), *rest],
            cwd=self.directory,
            env=self.environment(settings),
            capture_output=True,
            text=True,
            timeout=_LONGEST_RUN,
            check=False,
        )

    def python(self, code: str, *options: str) -> str:
        """Return what Python code prints in the environment, with the project on its path."""
        ran = self.run("python", *options, "-c", code)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    def start_up(self, *, threads: int = 2) -> None:
        """Start ``callboard up`` and wait until it serves."""
        process = self.start("up", "callboard", "up", "--port", str(self.port), "--threads", str(threads))
        self.wait_until_ready(process)


def _run(*command: str) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_RUN, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
