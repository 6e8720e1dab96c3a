"""Runs PostgreSQL programs: as the server's user, in the cluster's directory, and no longer than this process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

from callboard.db.errors import ConfigurationError
from callboard.embedded.account import Account

_LAUNCHER = Path(__file__).with_name("launcher.py")


def data_directory_argument(directory: Path, account: Account) -> str:
    """Return the argument of ``-D`` for a program that is started in ``directory``.

    Root's data directory may be below a directory that the server's user cannot enter, such as ``/root``. The program
    then reaches it as its own working directory.
    """
    return str(directory) if account.is_current else "/proc/self/cwd"


def run_program(command: Sequence[str], *, directory: Path, account: Account, stdin: str = "") -> None:
    """Run a program in ``directory`` to its end, at most two minutes.

    Raises:
        ConfigurationError: it failed; the message ends with its last lines.
    """
    name = Path(command[0]).name
    try:
        result = subprocess.run(  # noqa: S603 - the command is ours
            _launched(command, account),
            cwd=directory,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=120,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"{name} did not end within 120 s in {directory}.") from None
    if result.returncode != 0:
        raise ConfigurationError(
            f"{name} failed in {directory} (exit code {result.returncode}):\n{last_lines(result.stdout)}"
        )


def last_lines(text: str, count: int = 12) -> str:
    """Return the end of a program's output, indented for an error message."""
    return "\n".join(f"    {line}" for line in text.strip().splitlines()[-count:]) or "    (nothing)"


class ServerProcess:
    """A running postmaster, which ends when this process ends in any way.

    The kernel signals the child when the *thread* that started it ends: hence a thread that starts it and waits for it.
    """

    def __init__(self, command: Sequence[str], *, directory: Path, account: Account, log: int) -> None:
        """Start ``command`` in ``directory``, its output appended to the descriptor ``log``.

        Raises:
            OSError: the interpreter that launches it cannot be started.
        """
        started: Future[subprocess.Popen[bytes]] = Future()
        self._ended = threading.Event()
        arguments = (_launched(command, account), directory, log, started)
        threading.Thread(target=self._keep, args=arguments, name="embedded-postgres", daemon=True).start()
        self._process = started.result()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return not self._ended.is_set()

    @property
    def exit_code(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._process.returncode if self._ended.is_set() else None

    def wait(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for its end; return whether it has ended."""
        return self._ended.wait(timeout)

    def send_signal(self, number: int) -> None:
        """Send a signal; no effect after its end."""
        if self.running:
            self._process.send_signal(number)

    def _keep(self, command: list[str], directory: Path, log: int, started: Future[subprocess.Popen[bytes]]) -> None:
        try:
            # A session of its own: Ctrl-C in the terminal reaches only the supervisor, which then stops the server.
            process = subprocess.Popen(  # noqa: S603 - the command is ours
                command, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        except OSError as error:
            started.set_exception(error)
            return
        started.set_result(process)
        process.wait()
        self._ended.set()


def _launched(command: Sequence[str], account: Account) -> list[str]:
    # -I and -S: only the standard library, without a site's start-up code, which could be slow.
    launcher = [sys.executable, "-I", "-S", str(_LAUNCHER)]
    return [*launcher, str(os.getpid()), str(account.uid), str(account.gid), *command]
