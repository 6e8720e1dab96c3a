"""End servers that outlived their supervisor, or backends that outlived their postmaster.

Either would keep the shared memory of the data directory, and the next postmaster would refuse to start.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from callboard.db.errors import Unavailable
from callboard.embedded.account import Account

_POLL = 0.02


def cluster_name(cluster: Path) -> str:
    """Return the ``cluster_name`` that marks every process of a cluster in ``ps``, the same by whatever path."""
    status = cluster.stat()
    return f"callboard-{status.st_dev:x}-{status.st_ino:x}"


def end_orphans(cluster: Path, account: Account, *, grace: float = 20.0) -> None:
    """End all processes of ``cluster``, by their pids; call with the directory's lock held.

    A live postmaster gets ``grace`` seconds for a fast shutdown. What is left after it, or has no postmaster, is ended
    at once: PostgreSQL recovers from its log at the next start, so nothing committed is lost.

    Raises:
        Unavailable: a process does not end even so (stuck in the kernel, say, on a disk that is gone).
    """
    if not cluster.exists():
        return
    orphans = cluster_processes(cluster, account)
    if not orphans:
        return
    if (postmaster := read_postmaster_pid(cluster)) in orphans:
        _signal([postmaster], signal.SIGINT)
        orphans = _wait(cluster, account, grace)
    for number in (signal.SIGQUIT, signal.SIGKILL):
        _signal(orphans, number)
        orphans = _wait(cluster, account, 2.0)
    if orphans:
        pids = ", ".join(map(str, orphans))
        raise Unavailable(f"PostgreSQL processes {pids} still use {cluster} and cannot be ended.")


def read_postmaster_pid(cluster: Path) -> int:
    """Return the pid in ``postmaster.pid``, 0 where there is none."""
    try:
        return int((cluster / "postmaster.pid").read_text().partition("\n")[0])
    except (FileNotFoundError, ValueError):
        return 0


def cluster_processes(cluster: Path, account: Account) -> list[int]:
    """Return the pids of a cluster's server processes.

    They are known by what ``ps`` shows, as their working directories are hidden from root in most containers: the
    postmaster has the cluster's name among its arguments, every other process in its title.
    """
    name = cluster_name(cluster)
    argument, title = f"cluster_name={name}\0".encode(), f"postgres: {name}: ".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):  # it has just ended, or is hidden from us and so not ours
            command = (entry / "cmdline").read_bytes()
            if (argument in command or command.startswith(title)) and entry.stat().st_uid == account.uid:
                found.append(int(entry.name))
    return found


def _signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _wait(cluster: Path, account: Account, seconds: float) -> list[int]:
    """Wait for the end of a cluster's processes; return those that are left."""
    deadline = time.monotonic() + seconds
    while (left := cluster_processes(cluster, account)) and time.monotonic() < deadline:
        time.sleep(_POLL)
    return left
