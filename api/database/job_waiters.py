"""Requests that wait for a job: one query a tick for all of them, however many they are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog
from fastapi import Request
from starlette.requests import ClientDisconnect

from callboard.db.errors import Unavailable
from callboard.db.reads.jobs import JobState

_log = structlog.get_logger(__name__)

_FIRST_TICK: Final = 0.05
_LONGEST_TICK: Final = 0.1
_TICK_GROWTH: Final = 1.1
#: Pause while the database is away.
_OUTAGE_TICK: Final = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    until: Callable[[JobState | None], bool]
    over: asyncio.Future[None]


class JobWaiters:
    """The requests of this process that wait, and the task that looks for them. Used in one event loop."""

    def __init__(self, read: Callable[[Collection[UUID]], Awaitable[Mapping[UUID, JobState]]]) -> None:
        """``read`` returns the states of these jobs; it may raise ``Unavailable``."""
        self._read = read
        self._waiters: dict[UUID, set[_Waiter]] = {}
        self._stopped = False
        self._watch: asyncio.Task[None] | None = None

    async def until(
        self, job_id: UUID, condition: Callable[[JobState | None], bool], *, seconds: float, request: Request
    ) -> None:
        """Return when ``condition`` holds of the job, after ``seconds``, or when this process stops.

        Args:
            job_id: the job.
            condition: given the job's state, or None once it is gone.
            seconds: longest wait.
            request: whose body has been read; the wait ends with its connection.

        Raises:
            ClientDisconnect: nobody waits any more.
        """
        if self._stopped:
            return
        waiter = _Waiter(condition, asyncio.get_running_loop().create_future())
        self._waiters.setdefault(job_id, set()).add(waiter)
        if self._watch is None:
            self._watch = asyncio.create_task(self._look())
        gone = asyncio.create_task(_disconnected(request))
        try:
            await asyncio.wait((waiter.over, gone), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                raise ClientDisconnect
        finally:
            gone.cancel()
            self._forget(job_id, waiter)

    def stop(self) -> None:
        """End all waits, present and future ones, so that their requests are answered at once. Called in the loop."""
        self._stopped = True
        if self._watch is not None:
            self._watch.cancel()
        for waiters in self._waiters.values():
            for waiter in waiters:
                _end(waiter)

    @property
    def stopped(self) -> bool:
        """Whether the process is about to end."""
        return self._stopped

    def _forget(self, job_id: UUID, waiter: _Waiter) -> None:
        waiters = self._waiters[job_id]
        waiters.discard(waiter)
        if not waiters:
            del self._waiters[job_id]

    async def _look(self) -> None:
        tick = _FIRST_TICK
        try:
            while self._waiters and not self._stopped:
                await asyncio.sleep(tick)
                asked = list(self._waiters)
                try:
                    states = await self._read(asked)
                except Unavailable:
                    tick = _OUTAGE_TICK
                    continue
                ended = [
                    waiter
                    # Those who came during the read were not asked about, and an answer without them says nothing.
                    for job_id in asked
                    for waiter in self._waiters.get(job_id, ())
                    if waiter.until(states.get(job_id))
                ]
                for waiter in ended:
                    _end(waiter)
                tick = _FIRST_TICK if ended else min(_LONGEST_TICK, tick * _TICK_GROWTH)
        except Exception:  # noqa: BLE001 - it is logged, and nobody may wait for a task that has ended
            _log.exception("looking for changes of jobs failed; the requests that wait are answered as things are")
            for waiters in self._waiters.values():
                for waiter in waiters:
                    _end(waiter)
        finally:
            self._watch = None


def _end(waiter: _Waiter) -> None:
    if not waiter.over.done():
        waiter.over.set_result(None)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
