"""Streams of the events of single jobs: one query a tick for all of them, however many they are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from typing import Final
from uuid import UUID

import orjson

from callboard.api.live.poller import Poller
from callboard.api.live.send_buffer import SendBuffer
from callboard.api.live.sse import body_of, with_id
from callboard.api.wire.rendering import event as rendered
from callboard.db.reads.timeline import Event, JobEvents, Watch
from callboard.db.rules.event_position import EventPosition
from callboard.db.rules.states import EventKind

_UNKNOWN: Final = -1


@dataclass(slots=True, eq=False)
class _Follower:
    position: EventPosition
    buffer: SendBuffer

    def tell(self, event: Event) -> None:
        """Send the event unless this one has it already."""
        position = _after(event, self.position)
        if position != self.position:
            self.position = position
            self.buffer.put(encoded(event, position))


@dataclass(slots=True)
class _Job:
    followers: set[_Follower] = field(default_factory=set)
    revision: int = _UNKNOWN
    """All followers have all events of this one."""
    joined: bool = False
    """Somebody did, since the last look began."""

    def watch(self, job_id: UUID) -> Watch:
        """Return what to look for: what is new to at least one follower."""
        seen = reduce(EventPosition.and_of, (follower.position for follower in self.followers))
        return Watch(job_id, seen, self.revision)


class EventFeed:
    """Looks for events of the jobs that are followed. Used in one event loop."""

    def __init__(self, read: Callable[[Sequence[Watch]], Awaitable[Mapping[UUID, JobEvents]]]) -> None:
        """``read`` returns what is new (``callboard.db.reads.timeline.read_events``); it may raise ``Unavailable``."""
        self._read = read
        self._jobs: dict[UUID, _Job] = {}
        self._ticks = Poller(self._look, wanted=lambda: bool(self._jobs), failed=self._end_all)

    @contextmanager
    def following(self, job_id: UUID, position: EventPosition, buffer: SendBuffer) -> Iterator[None]:
        """Put events of the job after ``position`` into ``outbox``, and end it with the job, until the block ends."""
        job = self._jobs.setdefault(job_id, _Job())
        follower = _Follower(position, buffer)
        job.followers.add(follower)
        job.revision, job.joined = _UNKNOWN, True
        self._ticks.start()
        try:
            yield
        finally:
            job.followers.discard(follower)
            if not job.followers:
                del self._jobs[job_id]

    async def _look(self) -> bool:
        asked = [(job_id, job, tuple(job.followers)) for job_id, job in self._jobs.items()]
        for _, job, _ in asked:
            job.joined = False
        found = await self._read([job.watch(job_id) for job_id, job, _ in asked])
        for job_id, job, followers in asked:
            news = found.get(job_id)
            if news is not None:
                # Not those who joined meanwhile: they may need events that were not asked for.
                _tell(followers, news)
                job.revision = _UNKNOWN if job.joined or news.more or news.revision is None else news.revision
        return bool(found)

    def _end_all(self) -> None:
        for job in self._jobs.values():
            for follower in job.followers:
                follower.buffer.end()


def _tell(followers: Sequence[_Follower], news: JobEvents) -> None:
    for follower in followers:
        for event in news.events:
            follower.tell(event)
        if news.done or news.revision is None:
            follower.buffer.end()


def _after(event: Event, position: EventPosition) -> EventPosition:
    """Return where a reader at ``position`` is after the event: there still, if it has seen it."""
    if event.kind is EventKind.CANCEL_REQUESTED:
        return EventPosition(*position.place, max(position.cancel, event.position.cancel))
    return EventPosition(*max(position.place, event.position.place), position.cancel)


def encoded(event: Event, position: EventPosition) -> bytes:
    """Return the event as it is sent, with the position of its reader."""
    return with_id(position, body_of(event.kind, orjson.dumps(rendered(event, position))))
