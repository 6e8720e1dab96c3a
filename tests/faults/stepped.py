"""A time of day that steps while a process runs. What measures durations (``time.monotonic``) goes on."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import time_machine
import uuid_utils.compat

#: Seconds between looks at the file.
_TICK = 0.2

_real_uuid7 = uuid_utils.compat.uuid7


def set_ahead(file: Path, seconds: int) -> None:
    """Have the processes that follow the file be so many seconds ahead of the machine's clock; behind if below 0."""
    new = file.with_suffix(".new")
    new.write_text(str(seconds))
    new.replace(file)


def follow(file: str) -> None:
    """Do so in this process, from now on; before it imports what makes ids."""
    uuid_utils.compat.uuid7 = _uuid7
    clock = time_machine.travel(datetime.now(UTC), tick=True).start()

    def step() -> None:
        ahead = 0
        while True:
            wanted = int(Path(file).read_text())
            clock.shift(wanted - ahead)
            ahead = wanted
            time.sleep(_TICK)

    threading.Thread(target=step, name="clock", daemon=True).start()


def _uuid7(*, nanoseconds: int | None = None) -> UUID:
    """Return an id of this process's time: the library asks the kernel, which knows better."""
    return _real_uuid7(nanoseconds=nanoseconds or time.time_ns())
