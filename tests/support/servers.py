"""PostgreSQL servers that all pytest-xdist workers of a run share.

Whoever needs a server first starts it, and stops it after all others have left. Who owns and who uses it is a matter of
file locks, which the kernel drops when a process dies; a server itself ends with the process that started it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, TextIO

import pytest

from callboard.embedded.binaries import wheel_directory
from tests.services.postgres import private_postgres, system_binaries

#: A server of one's own choice for all tests; its user must be allowed to create databases.
GIVEN_URL: Final = os.environ.get("CALLBOARD_TEST_DATABASE_URL", "")

SYSTEM: Final = "system"
"""Debian's PostgreSQL: 15, the oldest that Callboard supports."""
WHEEL: Final = "wheel"
"""The PostgreSQL that comes with Callboard: 18, the newest."""
GIVEN: Final = "given"
ALL: Final = (GIVEN,) if GIVEN_URL else (SYSTEM, WHEEL)


class Servers:
    """The servers of this test run, started when they are first asked for."""

    def __init__(self, directory: Path) -> None:
        """``directory`` is the same in all processes of the run, and another one in every run."""
        self._directory = directory
        self._stack = ExitStack()
        self._urls = {GIVEN: GIVEN_URL}

    def url(self, kind: str) -> str:
        """Return the superuser's URL. Where there is no such PostgreSQL the test is skipped, or fails under ``CI``."""
        if kind not in self._urls:
            self._urls[kind] = self._stack.enter_context(_shared(self._directory / f"postgres-{kind}", _binaries(kind)))
        return self._urls[kind]

    def close(self) -> None:
        """Leave the servers; those that were started here are stopped when all others have left, too."""
        self._stack.close()


def _binaries(kind: str) -> Path:
    try:
        return system_binaries() if kind == SYSTEM else wheel_directory()
    except LookupError as absent:
        if os.environ.get("CI"):
            pytest.fail(str(absent))
        pytest.skip(str(absent))


@contextmanager
def _shared(directory: Path, binaries: Path) -> Iterator[str]:
    directory.mkdir(mode=0o700, exist_ok=True)
    with (
        (directory / "gate").open("w") as gate,
        (directory / "owner").open("w") as owner,
        (directory / "users").open("w") as users,
        ExitStack() as server,
    ):
        with _locked(gate):
            if mine := _try_lock(owner):
                (directory / "url").write_text(server.enter_context(private_postgres(binaries)))
            fcntl.flock(users, fcntl.LOCK_SH)
        yield (directory / "url").read_text()
        fcntl.flock(users, fcntl.LOCK_UN)
        if mine:
            with _locked(gate):  # whoever comes from now on starts a server of their own
                fcntl.flock(users, fcntl.LOCK_EX)
                server.close()
                fcntl.flock(owner, fcntl.LOCK_UN)


@contextmanager
def _locked(file: TextIO) -> Iterator[None]:
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _try_lock(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
