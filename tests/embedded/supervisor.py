"""A supervisor in a process of its own, for tests that kill it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from callboard.embedded.account import server_account
from callboard.embedded.orphans import cluster_processes

_REPOSITORY = Path(__file__).parents[2]

_SUPERVISOR = """
import json, os, sys
from pathlib import Path
from callboard.embedded.postgres import EmbeddedPostgres

server = EmbeddedPostgres(Path(sys.argv[1]), durable=False)
url = server.start()
print(json.dumps({"url": url, "postmaster": server.pid, "uid": os.geteuid()}), flush=True)
sys.stdin.read()
server.stop()
"""


@dataclass(frozen=True)
class Supervisor:
    """A process that runs an embedded PostgreSQL until its standard input closes."""

    process: subprocess.Popen[str]
    url: str
    postmaster: int
    uid: int


@contextmanager
def supervisor_process(
    data_dir: Path, *, python: str = sys.executable, user: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Start that process; ended by its own pid afterwards, in good order where it still lives."""
    packages = [str(_REPOSITORY), *(path for path in sys.path if path.endswith("site-packages"))]
    process = subprocess.Popen(
        [python, "-c", _SUPERVISOR, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
        env={"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(packages), "PYTHONDONTWRITEBYTECODE": "1"},
        user=user,
        group=user,
        extra_groups=None if user is None else [],
    )
    with process:
        try:
            yield process
            if process.poll() is None:
                process.communicate(timeout=30)
        finally:
            process.kill()


def await_supervisor(process: subprocess.Popen[str]) -> Supervisor:
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    assert line, process.stderr.read()
    return Supervisor(process, **json.loads(line))


def server_processes(data_dir: Path) -> list[int]:
    cluster = data_dir / "cluster"
    return cluster_processes(cluster, server_account(cluster)) if cluster.exists() else []
