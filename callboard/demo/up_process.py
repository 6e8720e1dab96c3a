"""``callboard up`` as a child process: started, waited for, and stopped with everything it runs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from callboard.client import Client, ClientError
from callboard.db.errors import CallboardError

#: Seconds. The first start on a slow disk makes a database; a stop lets running jobs end (``shutdown_grace``).
_LONGEST_START: Final = 120.0
_LONGEST_STOP: Final = 60.0
_POLL_INTERVAL: Final = 0.05
_LAST_LINES: Final = 15


class UpFailed(CallboardError):
    """``callboard up`` did not start, or did not stop as it should; the message ends with its last lines."""

    code = "up-failed"


class UpProcess:
    """The embedded system on a free port of this machine, open to local clients. A context manager, which stops it.

    No ``CALLBOARD_*`` variable reaches the child: a demonstration must not end up in a real database.
    """

    def __init__(self, data_dir: Path) -> None:
        """
        Args:
            data_dir: of its PostgreSQL, files and ``up.log``. A missing directory is made, for its owner alone.
        """
        self._data_dir = data_dir
        self._log = data_dir / "up.log"
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def database_url(self) -> str:
        """The URL of its PostgreSQL, with the password; known once the system is ready.

        Raises:
            UpFailed: the file with it cannot be read.
        """
        path = self._data_dir / "database_url"
        try:
            return path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise UpFailed(f"'callboard up' left no database URL in {path}: {error.strerror}.") from error

    def __enter__(self) -> Self:
        self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = [sys.executable, "-m", "callboard.cli", "up", "--host", "127.0.0.1", "--port", str(self._port)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the command is ours
                [*command, "--data-dir", str(self._data_dir)],
                env={name: value for name, value in os.environ.items() if not name.startswith("CALLBOARD_")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A session of its own: Ctrl-C is for the parent, which then stops the child in good order.
                start_new_session=True,
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        code = self._stop()
        if code != 0 and kind is None:
            raise UpFailed(f"'callboard up' ended with exit code {code} when it was stopped.{self._last_lines()}")

    def wait_until_ready(self) -> None:
        """Return when the system serves.

        Raises:
            UpFailed: the process ended, or the system was not ready within two minutes.
        """
        process = self._running()
        deadline = time.monotonic() + _LONGEST_START
        with Client(self.url, retry_for=0) as client:
            while True:
                if process.poll() is not None:
                    raise UpFailed(f"'callboard up' ended with exit code {process.returncode}.{self._last_lines()}")
                try:
                    client.check_ready()
                except ClientError as error:
                    if time.monotonic() > deadline:
                        raise UpFailed(
                            f"'callboard up' was not ready after {_LONGEST_START:.0f} s: {error}{self._last_lines()}"
                        ) from error
                    time.sleep(_POLL_INTERVAL)
                else:
                    return

    def _stop(self) -> int:
        """Stop the process, by force if it does not end in time, and return its exit code."""
        process = self._running()
        # A second Ctrl-C must not leave the child behind.
        interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            process.terminate()
            return process.wait(_LONGEST_STOP)
        except subprocess.TimeoutExpired:
            # Its session is its own, so the group holds nothing but what it started.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            return process.wait()
        finally:
            signal.signal(signal.SIGINT, interrupt)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the process is not started: use it as a context manager")
        return self._process

    def _last_lines(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
        return "".join(["\n", *(f"    {line}\n" for line in lines), f"All of it is in {self._log}."])


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
