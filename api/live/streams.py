"""The live streams of this process: each client's stream, connected to the feed that it reads from."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Final
from uuid import UUID

from fastapi import Request

from callboard.api.auth.caller import Caller
from callboard.api.auth.permission import CHECK_EVERY, Permission
from callboard.api.database.threads import DatabaseThreads
from callboard.api.live.change_feed import ChangeFeed, encode_job
from callboard.api.live.event_feed import EventFeed, encode_event
from callboard.api.live.poller import Pace
from callboard.api.live.send_buffer import OpenStreams, SendBuffer
from callboard.api.live.sse import HEARTBEAT, EventStream, with_id, with_retry
from callboard.db.reads.change_feed import Changes, current_moment, read_changes
from callboard.db.reads.job_filter import JobFilter
from callboard.db.reads.timeline import JobEvents, Watch, read_events
from callboard.db.rules.snapshot import Snapshot
from callboard.db.settings import Settings

#: Events of one job, and changed jobs, that are read at a time.
_PAGE: Final = 500
#: A transaction may wait for this many statements to time out before it commits.
_STATEMENTS: Final = 3
_PACE: Final = Pace(shortest=0.1, longest=0.25, growth=1.2, max_load=0.1)


class LiveStreams:
    """Makes streams of two kinds, and ends all of them when the process ends. Used in one event loop.

    A stream first sends what has happened already, which it reads by itself, page by page. Then it subscribes to a
    feed, which polls the database once for all streams of its kind: :class:`EventFeed` for the events of one job,
    :class:`ChangeFeed` for the changes of all jobs.
    """

    def __init__(self, settings: Settings, threads: DatabaseThreads) -> None:
        self._threads = threads
        self._heartbeat = settings.stream_heartbeat
        self._late = _STATEMENTS * settings.statement_timeout
        self._open = OpenStreams(limit=settings.stream_buffer_bytes)
        self._event_feed = EventFeed(self._read_events, _PACE)
        self._change_feed = ChangeFeed(self._read_changes, _PACE)

    def __len__(self) -> int:
        """The number of open streams."""
        return len(self._open)

    def stop(self) -> None:
        """End all streams, present and future ones. Called in the loop."""
        self._open.stop()

    def permission(self, request: Request, caller: Caller) -> Permission:
        """Return the permission to read a stream, which is checked as often as heartbeats are sent, or more often."""
        return Permission(request, caller, every=min(self._heartbeat, CHECK_EVERY))

    def of_job(self, watch: Watch, first: JobEvents, permission: Permission) -> EventStream:
        """Return the stream of the job's events after ``watch``; ``first``: the first page of them."""
        buffer = self._open.new_buffer()
        return EventStream(
            with_retry(self._job_events(watch, first, buffer)), buffer, permission, timeout=self._heartbeat * 2
        )

    def of_jobs(
        self, job_filter: JobFilter | None, since: Snapshot, first: Changes | None, permission: Permission
    ) -> EventStream:
        """Return the stream of the jobs that change after ``since``.

        Args:
            job_filter: which jobs; None for a stream that never sends any.
            since: the snapshot that the client has.
            first: the first page of the changes since then; None where ``since`` is the present.
            permission: to read them.
        """
        buffer = self._open.new_buffer()
        content = self._job_changes(job_filter, since, first, buffer)
        return EventStream(with_retry(content), buffer, permission, timeout=self._heartbeat * 2)

    async def events(self, watch: Watch, *, limit: int = _PAGE) -> JobEvents | None:
        """Return a page of the job's events after ``watch``; None if the job is gone."""
        by_job = await self._threads.run(lambda connection: read_events(connection, [watch], limit=limit))
        events = by_job[watch.job_id]
        return None if events.revision is None else events

    async def moment(self) -> Snapshot:
        """Return the present snapshot: changes after it are new."""
        return await self._threads.run(current_moment)

    async def changes(self, job_filter: JobFilter, since: Snapshot, after: UUID | None = None) -> Changes:
        """Return a page of the jobs of the filter's owner that changed after ``since``, from the id ``after`` on."""
        return await self._read_changes(since, after=after, owner=job_filter.owner)

    async def _job_events(self, watch: Watch, first: JobEvents, buffer: SendBuffer) -> AsyncGenerator[bytes, None]:
        with self._open.registered(buffer):
            position, page = watch.after, first
            yield HEARTBEAT
            while not buffer.ended:
                yield b"".join(encode_event(event, event.position) for event in page.events)
                position = page.events[-1].position if page.events else position
                if page.done:
                    return
                if not page.more:
                    break
                following = await self.events(Watch(watch.job_id, position))
                if following is None:
                    return
                page = following
            with self._event_feed.following(watch.job_id, position, buffer):
                while (chunk := await buffer.take(within=self._heartbeat)) is not None:
                    yield chunk or HEARTBEAT

    async def _job_changes(
        self, job_filter: JobFilter | None, since: Snapshot, first: Changes | None, buffer: SendBuffer
    ) -> AsyncGenerator[bytes, None]:
        with self._open.registered(buffer):
            yield HEARTBEAT
            snapshot, page = (since if first is None else first.moment), first
            while page is not None and job_filter is not None and not buffer.ended:
                yield b"".join(encode_job(row) for row in page.rows if job_filter.includes(row))
                if not page.more:
                    break
                page = await self.changes(job_filter, since, page.rows[-1]["id"])
            sent_id = snapshot
            yield with_id(sent_id)
            if job_filter is None:
                while (chunk := await buffer.take(within=self._heartbeat)) is not None:
                    yield chunk or HEARTBEAT
                return
            with self._change_feed.subscribed(job_filter, snapshot, buffer) as subscriber:
                while (chunk := await buffer.take(within=self._heartbeat)) is not None:
                    if chunk:
                        yield chunk
                    elif subscriber.snapshot != sent_id:
                        # A client that reconnects need not have the changes that its filter excludes read again.
                        sent_id = subscriber.snapshot
                        yield HEARTBEAT + with_id(sent_id)
                    else:
                        yield HEARTBEAT

    async def _read_events(self, watches: Sequence[Watch]) -> Mapping[UUID, JobEvents]:
        return await self._threads.run(lambda connection: read_events(connection, watches, limit=_PAGE))

    async def _read_changes(self, since: Snapshot, *, after: UUID | None, owner: str | None = None) -> Changes:
        return await self._threads.run(
            lambda connection: read_changes(connection, since, limit=_PAGE, late=self._late, after=after, owner=owner)
        )
