"""Starts a PostgreSQL program that ends with its parent, as an unprivileged user if the parent is root.

A script: ``launcher.py PARENT_PID UID GID PROGRAM [ARGUMENT…]``. The program replaces this process, with the same pid.
A fresh interpreter is used instead of ``preexec_fn``, which may deadlock in a parent with threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1

# None of the parent's environment is passed: it may hold secrets, and PG* variables would change the server.
_ENVIRONMENT = {"LC_ALL": "C", "PATH": os.defpath, "TZ": "UTC"}


def main(parent: int, uid: int, gid: int, command: list[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    # After the change of user, which clears this setting. SIGINT is PostgreSQL's fast shutdown, with a checkpoint.
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit("the parent ended before the server began")
    os.execve(command[0], command, _ENVIRONMENT)  # noqa: S606 - no shell on purpose


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
    except OSError as error:
        sys.exit(f"cannot run {sys.argv[4]} as user {sys.argv[2]}: {error.strerror}")
