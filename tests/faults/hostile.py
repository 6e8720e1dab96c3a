"""What hostile handlers do, and what must come of it. The handlers themselves are in ``hostile_jobs``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

THREAD: Final = "faults.hostile"
COROUTINE: Final = "faults.hostile_async"
PROCESS: Final = "faults.hostile_isolated"
DECIDING: Final = "faults.hostile_retry_when"

#: Seconds, of each attempt.
TIME_LIMIT: Final = 3.0
#: Seconds from the end of its time until an attempt is recorded; promised are five, on a machine that is in order.
LONGEST_END: Final = 10.0
_EVERYWHERE: Final = (THREAD, COROUTINE, PROCESS)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to be hostile."""

    expected: str
    """The only right outcome."""
    types: tuple[str, ...] = _EVERYWHERE
    """Job types that go it."""


WAYS: Final = {
    # What it raises, decides, returns and says.
    "raises what has no text": Way("failed"),
    "raises what is neither true nor false": Way("failed"),
    "raises SystemExit": Way("failed"),
    "raises KeyboardInterrupt": Way("failed"),
    "raises GeneratorExit": Way("failed"),
    "asks for a retry in text": Way("failed", (THREAD, PROCESS)),
    "asks for a retry at the end of time": Way("failed", (THREAD, PROCESS)),
    "cannot decide whether to retry": Way("failed", (DECIDING,)),
    "cannot read its payload": Way("failed", (THREAD, PROCESS)),
    "returns half a character": Way("failed"),
    "returns a NUL character": Way("failed"),
    "returns what has no JSON form": Way("failed"),
    "returns no number": Way("failed"),
    "logs under a reserved name": Way("succeeded"),
    # What it does to its process.
    "changes the directory": Way("succeeded"),
    "changes environment and umask": Way("succeeded"),
    "closes its output": Way("succeeded"),
    "closes the standard descriptors": Way("succeeded", (THREAD, PROCESS)),
    "forks, and the copy returns": Way("succeeded"),
    "forks, and the copy raises": Way("succeeded"),
    "forks, and the copy exits": Way("succeeded"),
    "forks, and the copy lives": Way("succeeded"),
    "stops the event loop": Way("failed", (COROUTINE,)),
    "exits in a task": Way("failed", (COROUTINE,)),
    "cancels every task": Way("failed", (COROUTINE,)),
    "closes every descriptor": Way("failed", (PROCESS,)),
    "ends the process": Way("failed", (PROCESS,)),
    # Limits.
    "hangs": Way("failed"),
    "catches every exception": Way("failed", (THREAD, PROCESS)),
    "eats memory": Way("failed", (PROCESS,)),
    "eats memory for a moment": Way("failed", (PROCESS,)),
}
