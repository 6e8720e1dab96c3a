"""Polls the database while there are subscribers, with adaptive pauses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from callboard.db.errors import Unavailable

_log = structlog.get_logger(__name__)

#: Seconds between two polls while the database is away.
_OUTAGE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Pace:
    """The pauses between two polls, in seconds."""

    shortest: float
    """Before the first poll, and after one with changes."""
    longest: float
    growth: float
    """Factor by which the pause grows after each poll without changes."""
    max_load: float = 1.0
    """Most of the time, from 0 to 1, that polls may take: after one that took long, the pause is longer."""


class Poller:
    """Runs one poll at a time, and none while nobody needs its result. Used in one event loop."""

    def __init__(
        self,
        name: str,
        poll: Callable[[], Awaitable[bool]],
        pace: Pace,
        *,
        needed: Callable[[], bool],
        failed: Callable[[], None],
    ) -> None:
        """
        Args:
            name: for the log.
            poll: reads and distributes changes; returns whether there were any. May raise ``Unavailable``.
            pace: the pauses between two polls.
            needed: returns whether anybody still needs the changes.
            failed: called when a poll raised anything but ``Unavailable``; polling has ended then.
        """
        self._name = name
        self._poll = poll
        self._pace = pace
        self._needed = needed
        self._failed = failed
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Poll until nobody needs it any more. Without effect where this goes on already."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """Stop polling, in the middle of a poll too."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        pace = self._pace
        pause = pace.shortest
        try:
            while True:
                await asyncio.sleep(pause)
                if not self._needed():
                    return
                begun = loop.time()
                try:
                    changed = await self._poll()
                except Unavailable:
                    pause = _OUTAGE
                    continue
                pause = pace.shortest if changed else min(pace.longest, pause * pace.growth)
                pause = max(pause, (loop.time() - begun) * (1 / pace.max_load - 1))
        except Exception:  # noqa: BLE001 - it is logged, and nobody may wait for a task that has ended
            _log.exception("polling_failed", poller=self._name)
            self._failed()
        finally:
            self._task = None
