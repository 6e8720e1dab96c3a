"""Api processes, started as operators start them."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from callboard.db.settings import Settings

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class ApiProcess:
    """``log`` is what it writes to stderr."""

    process: subprocess.Popen[bytes]
    client: httpx.Client
    log: Path

    @property
    def address(self) -> tuple[str, int]:
        url = self.client.base_url
        return url.host, url.port or 80

    def resident(self) -> int:
        """Return the bytes of memory that the process holds."""
        return self._memory("VmRSS")

    def peak(self) -> int:
        """Return the most bytes of memory that the process has held."""
        return self._memory("VmHWM")

    def _memory(self, name: str) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{name}:")) * 1024


@contextmanager
def api_process(
    settings: Settings, directory: Path, *, port: int = 0, module: str = "callboard.cli", **environment: str
) -> Iterator[ApiProcess]:
    """Run a process until the end of the block, and yield it when it is ready.

    Args:
        settings: whose database it uses.
        directory: where uploaded files and the log go.
        port: to serve on, or a free one.
        module: runs the command.
        environment: more settings, by their variables.
    """
    assert settings.database_url is not None
    if not port:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
    variables = {
        **os.environ,
        "CALLBOARD_DATABASE_URL": settings.database_url.get_secret_value(),
        "CALLBOARD_FILES_URL": (directory / "files").as_uri(),
        "CALLBOARD_DIAGNOSTICS": "true",
        **environment,
    }
    command = [sys.executable, "-m", module, "api", "--port", str(port)]
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / f"api-{port}.log"
    with (
        log.open("ab") as stderr,
        subprocess.Popen(command, env=variables, cwd=ROOT, stderr=stderr) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        try:
            _wait_until_ready(process, client, log)
            yield ApiProcess(process, client, log)
        finally:
            process.kill()


def _wait_until_ready(process: subprocess.Popen[bytes], client: httpx.Client, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(httpx.TransportError):
            if client.get("/readyz").status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"The api is not ready: {log.read_text()}")


@contextmanager
def many_files(count: int) -> Iterator[None]:
    """Let this process have so many files open until the end of the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard >= count, f"This takes {count} open files, and ulimit -Hn allows {hard}."
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
