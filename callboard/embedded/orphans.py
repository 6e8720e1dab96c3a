"""Ends servers that outlived their supervisor, and backends that outlived their postmaster.

Both keep the shared memory of the data directory, and the next postmaster would refuse to start.
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
    """Return the ``cluster_name`` that marks every process of a cluster in ``ps``, the same for every path to it."""
    status = cluster.stat()
    return f"callboard-{status.st_dev:x}-{status.st_ino:x}"


def end_orphans(cluster: Path, account: Account, *, grace: float = 20.0) -> None:
    """End all processes of ``cluster``, by their pids. The caller holds the directory's lock.

    A live postmaster gets ``grace`` seconds for a fast shutdown. Processes that are left, or have no postmaster, are
    ended at once: PostgreSQL recovers from its log at the next start, and no commit is lost.

    Raises:
        Unavailable: a process cannot be ended (it hangs in the kernel, such as on a lost disk).
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
    """Return the pid in ``postmaster.pid``; 0 if there is none."""
    try:
        return int((cluster / "postmaster.pid").read_text().partition("\n")[0])
    except (FileNotFoundError, ValueError):
        return 0


def cluster_processes(cluster: Path, account: Account) -> list[int]:
    """Return the pids of a cluster's server processes.

    They are found by their command lines, as working directories are hidden from root in most containers: the
    postmaster has the cluster's name among its arguments, every other process in its title.
    """
    name = cluster_name(cluster)
    argument, title = f"cluster_name={name}\0".encode(), f"postgres: {name}: ".encode()
    pids = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):  # it has just ended, or belongs to another user
            command = (entry / "cmdline").read_bytes()
            if (argument in command or command.startswith(title)) and entry.stat().st_uid == account.uid:
                pids.append(int(entry.name))
    return pids


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
