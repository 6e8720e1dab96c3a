"""A look at the database again and again, while somebody wants to know."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from callboard.db.errors import Unavailable

_log = structlog.get_logger(__name__)

#: Seconds between two looks: after one that found something, and at most.
_BUSY: Final = 0.1
_IDLE: Final = 0.25
_GROWTH: Final = 1.2
#: Pause while the database is away.
_OUTAGE: Final = 0.5
#: A look that takes long is repeated so much later that the database spends a tenth of its time on it.
_PATIENCE: Final = 9.0


class Poller:
    """Runs one look at a time, none while nobody wants one. Used in one event loop."""

    def __init__(
        self, look: Callable[[], Awaitable[bool]], *, wanted: Callable[[], bool], failed: Callable[[], None]
    ) -> None:
        """
        Args:
            look: returns whether it found something; may raise ``Unavailable``.
            wanted: whether somebody still wants to know.
            failed: called when looking failed for a reason that will not go away.
        """
        self._look = look
        self._wanted = wanted
        self._failed = failed
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look from now on, if that is not what happens already."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        pause = _BUSY
        try:
            while True:
                await asyncio.sleep(pause)
                if not self._wanted():
                    return
                begun = loop.time()
                try:
                    found = await self._look()
                except Unavailable:
                    pause = _OUTAGE
                    continue
                pause = _BUSY if found else min(_IDLE, pause * _GROWTH)
                pause = max(pause, (loop.time() - begun) * _PATIENCE)
        except Exception:  # noqa: BLE001 - it is logged, and nobody may wait for a task that has ended
            _log.exception("looking for changes failed; the streams end")
            self._failed()
        finally:
            self._task = None
