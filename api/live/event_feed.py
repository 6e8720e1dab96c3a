"""Feed of the events of single jobs: one query at a time reads them for all followers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from typing import Final
from uuid import UUID

import orjson

from callboard.api.live.poller import Pace, Poller
from callboard.api.live.send_buffer import SendBuffer
from callboard.api.live.sse import event_without_id, with_id
from callboard.api.wire.rendering import event as rendered
from callboard.db.reads.timeline import Event, JobEvents, Watch
from callboard.db.rules.event_position import EventPosition
from callboard.db.rules.states import EventKind

_UNKNOWN: Final = -1


@dataclass(slots=True, eq=False)
class _Follower:
    position: EventPosition
    buffer: SendBuffer

    def send(self, event: Event) -> None:
        """Send the event unless it has been sent already."""
        position = _after(event, self.position)
        if position != self.position:
            self.position = position
            self.buffer.put(encode_event(event, position))


@dataclass(slots=True)
class _FollowedJob:
    followers: set[_Follower] = field(default_factory=set)
    revision: int = _UNKNOWN
    """All followers have all events up to this revision of the job."""
    has_new_follower: bool = False
    """A follower has been added since the last poll began."""

    def watch(self, job_id: UUID) -> Watch:
        """Return the watch for all events that at least one follower does not have."""
        earliest = reduce(EventPosition.and_of, (follower.position for follower in self.followers))
        return Watch(job_id, earliest, self.revision)


class EventFeed:
    """Polls for events of the followed jobs. Used in one event loop."""

    def __init__(self, read: Callable[[Sequence[Watch]], Awaitable[Mapping[UUID, JobEvents]]], pace: Pace) -> None:
        """
        Args:
            read: returns new events (``callboard.db.reads.timeline.read_events``); may raise ``Unavailable``.
            pace: of the polls.
        """
        self._read = read
        self._jobs: dict[UUID, _FollowedJob] = {}
        self._poller = Poller("job_events", self._poll, pace, needed=lambda: bool(self._jobs), failed=self._end_all)

    @contextmanager
    def following(self, job_id: UUID, position: EventPosition, buffer: SendBuffer) -> Iterator[None]:
        """Put the job's events after ``position`` into ``buffer``, and end it with the job, until the block ends."""
        job = self._jobs.setdefault(job_id, _FollowedJob())
        follower = _Follower(position, buffer)
        job.followers.add(follower)
        job.revision, job.has_new_follower = _UNKNOWN, True
        self._poller.start()
        try:
            yield
        finally:
            job.followers.discard(follower)
            if not job.followers:
                del self._jobs[job_id]

    async def _poll(self) -> bool:
        polled = [(job_id, job, tuple(job.followers)) for job_id, job in self._jobs.items()]
        for _, job, _ in polled:
            job.has_new_follower = False
        events_by_job = await self._read([job.watch(job_id) for job_id, job, _ in polled])
        for job_id, job, followers in polled:
            events = events_by_job.get(job_id)
            if events is None:
                continue
            # Not to followers that were added during the read: they may need events that were not asked for.
            _send(followers, events)
            complete = not (job.has_new_follower or events.more)
            job.revision = events.revision if complete and events.revision is not None else _UNKNOWN
        return bool(events_by_job)

    def _end_all(self) -> None:
        for job in self._jobs.values():
            for follower in job.followers:
                follower.buffer.end()


def _send(followers: Sequence[_Follower], events: JobEvents) -> None:
    for follower in followers:
        for event in events.events:
            follower.send(event)
        if events.done or events.revision is None:
            follower.buffer.end()


def _after(event: Event, position: EventPosition) -> EventPosition:
    """Return the position of a reader at ``position`` after the event; the same one if it has the event already."""
    if event.kind is EventKind.CANCEL_REQUESTED:
        return EventPosition(*position.place, max(position.cancel, event.position.cancel))
    return EventPosition(*max(position.place, event.position.place), position.cancel)


def encode_event(event: Event, position: EventPosition) -> bytes:
    """Return the event for a stream; its id is ``position``, the reader's after it."""
    return with_id(position, event_without_id(event.kind, orjson.dumps(rendered(event, position))))
