"""The live streams of this process: who reads them, and who looks for what they tell."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Final
from uuid import UUID

from callboard.api.database.threads import DatabaseThreads
from callboard.api.live.change_feed import ChangeFeed, encoded
from callboard.api.live.event_feed import EventFeed
from callboard.api.live.event_feed import encoded as encoded_event
from callboard.api.live.send_buffer import OpenStreams, SendBuffer
from callboard.api.live.sse import HEARTBEAT, RETRY, EventStream, with_id
from callboard.db.reads.change_feed import Changes, current_moment, read_changes
from callboard.db.reads.job_filter import JobFilter
from callboard.db.reads.timeline import JobEvents, Watch, read_events
from callboard.db.rules.snapshot import Snapshot
from callboard.db.settings import Settings

#: Events of one job, and changed jobs, that are read at a time.
_PAGE: Final = 500
#: A transaction may wait for this many statements to time out before it commits.
_STATEMENTS: Final = 3


class LiveStreams:
    """Makes streams, and ends them when the process does. Used in one event loop."""

    def __init__(self, settings: Settings, threads: DatabaseThreads) -> None:
        self._threads = threads
        self._heartbeat = settings.stream_heartbeat
        self._late = _STATEMENTS * settings.statement_timeout
        self._open = OpenStreams(limit=settings.stream_buffer_bytes)
        self._events = EventFeed(self._read_events)
        self._changes = ChangeFeed(self._read_changes)

    def __len__(self) -> int:
        """How many streams are open."""
        return len(self._open)

    def stop(self) -> None:
        """End all streams, present and future ones. Called in the loop."""
        self._open.stop()

    def of_job(self, watch: Watch, known: JobEvents) -> EventStream:
        """Return the stream of what happened to a job after ``watch``; ``known`` is the first page of it."""
        buffer = self._open.new()
        return EventStream(self._follow(watch, known, buffer), buffer, timeout=self._heartbeat * 2)

    def of_jobs(self, wanted: JobFilter | None, since: Snapshot, first: Changes | None) -> EventStream:
        """Return the stream of jobs that change after ``since``; ``first`` is the first page of what has already."""
        buffer = self._open.new()
        content = self._subscribe(wanted, since, first, buffer)
        return EventStream(content, buffer, timeout=self._heartbeat * 2)

    async def events(self, watch: Watch, *, limit: int = _PAGE) -> JobEvents | None:
        """Return what happened to a job after ``watch``; None if it is gone."""
        news = (await self._threads.run(lambda connection: read_events(connection, [watch], limit=limit)))[watch.job_id]
        return None if news.revision is None else news

    async def moment(self) -> Snapshot:
        """Return the moment from which on changes are new."""
        return await self._threads.run(current_moment)

    async def changes(self, wanted: JobFilter, since: Snapshot, after: UUID | None = None) -> Changes:
        """Return jobs of the wanted owner that changed after ``since``, those with ids above ``after``."""
        return await self._read_changes(since, after=after, owner=wanted.owner)

    async def _follow(self, watch: Watch, known: JobEvents, buffer: SendBuffer) -> AsyncGenerator[bytes, None]:
        with self._open.kept(buffer):
            position, news = watch.after, known
            yield RETRY
            while not buffer.ended:
                yield b"".join(encoded_event(event, event.position) for event in news.events)
                position = news.events[-1].position if news.events else position
                if news.done:
                    return
                if not news.more:
                    break
                following = await self.events(Watch(watch.job_id, position))
                if following is None:
                    return
                news = following
            with self._events.following(watch.job_id, position, buffer):
                while (chunk := await buffer.take(self._heartbeat)) is not None:
                    yield chunk or HEARTBEAT

    async def _subscribe(
        self, wanted: JobFilter | None, since: Snapshot, first: Changes | None, buffer: SendBuffer
    ) -> AsyncGenerator[bytes, None]:
        with self._open.kept(buffer):
            yield RETRY
            moment = since if first is None else first.moment
            while first is not None and wanted is not None and not buffer.ended:
                yield b"".join(encoded(row) for row in first.rows if wanted.includes(row))
                if not first.more:
                    break
                first = await self.changes(wanted, since, first.rows[-1]["id"])
            told = moment
            yield with_id(told)
            if wanted is None:
                while (chunk := await buffer.take(self._heartbeat)) is not None:
                    yield chunk or HEARTBEAT
                return
            with self._changes.subscribed(wanted, moment, buffer) as subscriber:
                while (chunk := await buffer.take(self._heartbeat)) is not None:
                    if chunk:
                        yield chunk
                    elif subscriber.moment != told:
                        # What did not concern this reader need not be looked through again when it comes back.
                        told = subscriber.moment
                        yield HEARTBEAT + with_id(told)
                    else:
                        yield HEARTBEAT

    async def _read_events(self, watches: Sequence[Watch]) -> Mapping[UUID, JobEvents]:
        return await self._threads.run(lambda connection: read_events(connection, watches, limit=_PAGE))

    async def _read_changes(self, since: Snapshot, *, after: UUID | None, owner: str | None = None) -> Changes:
        return await self._threads.run(
            lambda connection: read_changes(connection, since, limit=_PAGE, late=self._late, after=after, owner=owner)
        )
