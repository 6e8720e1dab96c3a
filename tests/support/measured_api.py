"""``python -m tests.support.measured_api api …``: the command ``callboard``, which measures how long its loop is held.

The event loop is held while it works on one thing, or while another thread does not let go of Python's lock. Both are
measured in CPU time, so that a busy machine makes neither longer.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import struct
import threading
import time
from pathlib import Path
from typing import Final

from callboard.api.server.server import Server
from callboard.cli import main

#: The variable with the path of the file in which the longest hold is, in seconds.
FILE: Final = "MEASURED_FILE"
_DOUBLE: Final = struct.Struct("d")
_PAUSE: Final = 0.001


class LongestHold:
    """A number that two processes share: the longest time that the loop was held since it was set to 0."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(_DOUBLE.pack(0.0))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _DOUBLE.size)

    def get(self) -> float:
        seconds: float = _DOUBLE.unpack(self._shared[:])[0]
        return seconds

    def set(self, seconds: float) -> None:
        self._shared[:] = _DOUBLE.pack(seconds)

    def note(self, seconds: float) -> None:
        if seconds > self.get():
            self.set(seconds)


def _watch_lock(longest: LongestHold) -> None:
    own = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
    while True:
        before, waited = time.process_time(), _waited_for_a_processor(own)
        time.sleep(_PAUSE)
        longest.note(time.process_time() - before - (_waited_for_a_processor(own) - waited))


def _waited_for_a_processor(thread: Path) -> float:
    """Return the seconds for which a thread could run, and others ran instead of it: no lock kept it waiting then."""
    return int(thread.read_text().split()[1]) / 1e9


async def _watch_loop(longest: LongestHold) -> None:
    while True:
        before = time.thread_time()
        await asyncio.sleep(_PAUSE)
        longest.note(time.thread_time() - before)


class _MeasuredServer(Server):
    async def startup(self, sockets: object = None) -> None:
        await super().startup(sockets)  # type: ignore[arg-type]
        self._watching = asyncio.create_task(_watch_loop(LongestHold(Path(os.environ[FILE]))))


if __name__ == "__main__":
    import callboard.processes.api

    setattr(callboard.processes.api, "Server", _MeasuredServer)  # noqa: B010 - it is not for others
    threading.Thread(target=_watch_lock, args=[LongestHold(Path(os.environ[FILE]))], daemon=True).start()
    main()
