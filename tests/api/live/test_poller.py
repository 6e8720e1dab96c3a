"""The poller: outages, failures, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from uuid import UUID

from fastapi import Request
from starlette.types import Message
from structlog.testing import capture_logs

from callboard.api.live.job_waiters import JobWaiters
from callboard.api.live.poller import Pace, Poller
from callboard.db.errors import Unavailable
from callboard.db.reads.jobs import JobState
from callboard.db.rules.ids import new_id
from callboard.db.rules.states import Status

PACE = Pace(shortest=0.001, longest=0.002, growth=1.5)


class Polled:
    """What a poller polls: raises the given errors, one a poll, and then needs no more polls."""

    def __init__(self, *errors: Exception | None) -> None:
        self.errors = list(errors)
        self.polls = 0
        self.failures = 0
        self.finished = asyncio.Event()

    async def poll(self) -> bool:
        self.polls += 1
        error = self.errors.pop(0)
        if not self.errors:
            self.finished.set()
        if error is not None:
            raise error
        return True

    def fail(self) -> None:
        self.failures += 1

    def poller(self) -> Poller:
        return Poller("test", self.poll, PACE, needed=lambda: bool(self.errors), failed=self.fail)


def test_it_polls_until_nobody_needs_it_and_can_start_again() -> None:
    async def main() -> int:
        polled = Polled(None, None)
        poller = polled.poller()
        poller.start()
        poller.start()
        await polled.finished.wait()
        await asyncio.sleep(0.05)
        assert polled.polls == 2
        polled.errors.append(None)
        poller.start()
        await asyncio.sleep(0.05)
        return polled.polls

    assert asyncio.run(main()) == 3


def test_an_outage_is_outlasted() -> None:
    async def main() -> Polled:
        polled = Polled(Unavailable("away"), None)
        polled.poller().start()
        await polled.finished.wait()
        return polled

    polled = asyncio.run(main())
    assert (polled.polls, polled.failures) == (2, 0)


def test_another_error_is_logged_and_ends_it() -> None:
    async def main() -> Polled:
        polled = Polled(RuntimeError("defect"), None)
        polled.poller().start()
        await asyncio.sleep(0.05)
        return polled

    with capture_logs() as logs:
        polled = asyncio.run(main())

    assert (polled.polls, polled.failures) == (1, 1)
    assert [(entry["event"], entry["poller"]) for entry in logs] == [("polling_failed", "test")]


def test_waits_end_when_their_jobs_cannot_be_polled() -> None:
    polls = 0

    async def read(job_ids: Collection[UUID]) -> Mapping[UUID, JobState]:
        nonlocal polls
        polls += 1
        if polls < 3:
            return dict.fromkeys(job_ids, JobState(Status.QUEUED, 0))
        raise RuntimeError("defect")

    async def never_disconnects() -> Message:
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    async def main() -> None:
        request = Request({"type": "http"}, receive=never_disconnects)
        waiters = JobWaiters(read)
        async with asyncio.timeout(30):
            waits = (waiters.until(new_id(), lambda _: False, seconds=60, request=request) for _ in range(3))
            await asyncio.gather(*waits)

    asyncio.run(main())
    assert polls == 3
