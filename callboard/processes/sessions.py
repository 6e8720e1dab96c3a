"""What a supervised process has started ends with it. Each has a session of its own, which its descendants inherit.

Only those stay that make a session of their own, as a daemon does. Linux only; elsewhere this finds nothing.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path


def end_session(session: int) -> int:
    """Kill all processes of a session but this one; return how many there were.

    Args:
        session: its id, which is the pid of the process that began it. No other process gets that pid meanwhile.
    """
    members = [pid for pid in _members(session) if pid != os.getpid()]
    for pid in members:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(members)


def _members(session: int) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            # After the program's name, which may contain anything: state, parent, group, session.
            fields = (process / "stat").read_bytes().rpartition(b")")[2].split()
            if int(fields[3]) == session and fields[0] != b"Z":
                found.append(int(process.name))
    return found
