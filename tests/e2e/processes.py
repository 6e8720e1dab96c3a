"""Processes under test: started, signalled by their own pids, and found again even if their parent has changed."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_MODULES: Final = Path(__file__).with_name("modules")
_LAUNCHER: Final = Path(__file__).with_name("launcher.py")
_MARK: Final = "E2E_MARK"


class Family:
    """The processes of one system, and all that they start: each has the family's mark in its environment."""

    def __init__(self) -> None:
        self._mark = f"{_MARK}={secrets.token_hex(8)}"

    def environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Return what a process of the family is started with.

        ``CALLBOARD_*`` variables come from ``settings`` alone: names without the prefix, in lower case.
        """
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CALLBOARD_")}
        name, _, value = self._mark.partition("=")
        return {
            **inherited,
            name: value,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(_MODULES)]),
            **{f"CALLBOARD_{key.upper()}": value for key, value in settings.items()},
        }

    def members(self) -> dict[int, str]:
        """Return the command lines of those that live, by pid."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has just ended, or is another user's
                if self._mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                    found[int(process.name)] = (process / "cmdline").read_text().replace("\0", " ").strip()
        return found

    def wait_until_gone(self, timeout: float) -> dict[int, str]:
        """Wait until none lives, and return those that do after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while (left := self.members()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return left

    def kill(self) -> None:
        """End them all at once."""
        for pid in self.members():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Process:
    """One process that a test started, its output in a file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        directory: Path,
        *,
        program: Sequence[str] = (sys.executable, "-m"),
    ) -> None:
        """``program`` is what takes the command; empty, the command is a program of its own, by its path."""
        self.name = name
        self._log = directory / f"{name}.log"
        with self._log.open("ab") as log:
            self._log_begins = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), *program, *command],
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C at the terminal is for the tests alone
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def log(self) -> str:
        """All that it wrote so far; the file has what others of the same name wrote before it."""
        return self._log.read_bytes()[self._log_begins :].decode(errors="replace")

    def children(self) -> list[int]:
        """Return the pids of its children."""
        found: list[int] = []
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            with suppress(FileNotFoundError):  # the thread has just ended
                found += map(int, (task / "children").read_text().split())
        return found

    def wait(self, timeout: float) -> int:
        """Wait for its end and return its exit code, negative for a signal."""
        return self._process.wait(timeout)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; harmless after its end."""
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM, *, timeout: float = 40) -> int:
        """Send a signal, wait for the end, and return the exit code."""
        self.send(number)
        return self.wait(timeout)

    def interrupt_group(self) -> None:
        """Do what a terminal does at Ctrl-C: interrupt the whole foreground group."""
        os.killpg(self.pid, signal.SIGINT)

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash does."""
        self._process.kill()
        self._process.wait()
