"""Requests that wait for a job: one query at a time reads the states of all these jobs, however many they are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from fastapi import Request
from starlette.requests import ClientDisconnect

from callboard.api.live.disconnects import disconnected
from callboard.api.live.poller import Pace, Poller
from callboard.db.reads.jobs import JobState

_PACE: Final = Pace(shortest=0.05, longest=0.1, growth=1.1)


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    condition: Callable[[JobState | None], bool]
    ended: asyncio.Future[None]

    def end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


class JobWaiters:
    """The waiting requests of this process, and the poller of their jobs. Used in one event loop."""

    def __init__(self, read: Callable[[Collection[UUID]], Awaitable[Mapping[UUID, JobState]]]) -> None:
        """``read``: returns the states of these jobs, without those that are gone; may raise ``Unavailable``."""
        self._read = read
        self._waiters: dict[UUID, set[_Waiter]] = {}
        self._stopped = False
        self._poller = Poller(
            "job_waiters", self._poll, _PACE, needed=lambda: bool(self._waiters), failed=self._end_all
        )

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
            ClientDisconnect: the client has closed the connection.
        """
        if self._stopped:
            return
        waiter = _Waiter(condition, asyncio.get_running_loop().create_future())
        self._waiters.setdefault(job_id, set()).add(waiter)
        self._poller.start()
        gone = asyncio.create_task(disconnected(request.receive))
        try:
            await asyncio.wait((waiter.ended, gone), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                raise ClientDisconnect
        finally:
            gone.cancel()
            self._remove(job_id, waiter)

    def stop(self) -> None:
        """End all waits, present and future ones: their requests are answered at once. Called in the loop."""
        self._stopped = True
        self._poller.stop()
        self._end_all()

    @property
    def stopped(self) -> bool:
        """Whether the process is about to end."""
        return self._stopped

    def _remove(self, job_id: UUID, waiter: _Waiter) -> None:
        waiters = self._waiters[job_id]
        waiters.discard(waiter)
        if not waiters:
            del self._waiters[job_id]

    async def _poll(self) -> bool:
        job_ids = list(self._waiters)
        states = await self._read(job_ids)
        ended = [
            waiter
            # Waiters that came during the read may be for other jobs, which ``states`` lacks although they exist.
            for job_id in job_ids
            for waiter in self._waiters.get(job_id, ())
            if waiter.condition(states.get(job_id))
        ]
        for waiter in ended:
            waiter.end()
        return bool(ended)

    def _end_all(self) -> None:
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.end()
