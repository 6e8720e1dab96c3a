"""Feed of all changes to jobs: one query at a time reads them for all subscribers."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol
from uuid import UUID

import orjson

from callboard.api.live.poller import Pace, Poller
from callboard.api.live.send_buffer import SendBuffer
from callboard.api.live.sse import event_without_id, with_id
from callboard.api.wire.rendering import job_in_list
from callboard.db.models.job_view import JobView
from callboard.db.reads.change_feed import Changes
from callboard.db.reads.job_filter import JobFilter
from callboard.db.rules.snapshot import Snapshot
from callboard.db.rules.states import Status

#: Queued jobs whose last visible change is remembered. The dispatcher marks their rows when their messages are
#: confirmed: a new transaction that changes nothing that clients see.
_MOST_QUEUED_JOBS: Final = 20_000


class ReadChanges(Protocol):
    """Returns the changes since a snapshot, as ``callboard.db.reads.change_feed.read_changes`` does.

    May raise ``Unavailable``.
    """

    def __call__(self, since: Snapshot, *, after: UUID | None) -> Awaitable[Changes]: ...


@dataclass(slots=True, eq=False)
class Subscriber:
    """A stream that has all changes up to ``snapshot``."""

    job_filter: JobFilter
    snapshot: Snapshot
    buffer: SendBuffer
    held_back: bytes = field(default=b"", init=False)
    """The last encoded job: it gets the id if no other follows in the same scan."""

    def needs(self, row: JobView, transaction: int) -> bool:
        """Return whether the stream is to send the job, whose visible state this transaction wrote."""
        return not self.snapshot.sees(transaction) and self.job_filter.includes(row)

    def send(self, encoded: bytes) -> None:
        """Send the job that was held back, and hold back this one."""
        self.buffer.put(self.held_back)
        self.held_back = encoded

    def complete(self, snapshot: Snapshot) -> None:
        """Send the last job of a scan with the id of ``snapshot``, up to which the stream has all changes now."""
        self.snapshot = snapshot
        if self.held_back:
            self.buffer.put(with_id(snapshot, self.held_back))
            self.held_back = b""


class ChangeFeed:
    """Polls for changed jobs and distributes them to the subscribers whose filters match. Used in one event loop.

    A scan reads everything that changed between two snapshots, in pages, one page a poll. Only its last event carries
    an id: a stream that breaks in the middle of a scan resumes at its beginning.
    """

    def __init__(self, read: ReadChanges, pace: Pace) -> None:
        """``pace``: of the polls."""
        self._read = read
        self._subscribers: set[Subscriber] = set()
        self._poller = Poller(
            "job_changes", self._poll, pace, needed=lambda: bool(self._subscribers), failed=self._end_all
        )
        self._scan: _Scan | None = None
        # Of queued jobs: the revision, and the transaction with which it was first read.
        self._queued: dict[UUID, tuple[int, int]] = {}

    @contextmanager
    def subscribed(self, job_filter: JobFilter, snapshot: Snapshot, buffer: SendBuffer) -> Iterator[Subscriber]:
        """Put the matching jobs that change after ``snapshot`` into ``buffer``, until the block ends."""
        if not self._subscribers:
            self._scan = None
        subscriber = Subscriber(job_filter, snapshot, buffer)
        self._subscribers.add(subscriber)
        self._poller.start()
        try:
            yield subscriber
        finally:
            self._subscribers.discard(subscriber)

    async def _poll(self) -> bool:
        scan = self._scan or _Scan(list(self._subscribers))
        changes = await self._read(scan.since, after=scan.after)
        for row in changes.rows:
            transaction = self._transaction_of(row)
            encoded = b""
            for subscriber in scan.subscribers:
                if subscriber.needs(row, transaction):
                    encoded = encoded or encode_job(row)
                    subscriber.send(encoded)
        scan.until = scan.until or changes.moment
        if changes.more:
            scan.after = changes.rows[-1]["id"]
            self._scan = scan
        else:
            for subscriber in scan.subscribers:
                subscriber.complete(scan.until)
            self._scan = None
        return bool(changes.rows)

    def _transaction_of(self, row: JobView) -> int:
        """Return the id of the transaction that wrote the visible state of the job."""
        transaction: int = row["transaction"]
        if row["status"] != Status.QUEUED:
            self._queued.pop(row["id"], None)
            return transaction
        known = self._queued.get(row["id"])
        if known is not None and known[0] == row["revision"]:
            return known[1]
        while len(self._queued) >= _MOST_QUEUED_JOBS:
            del self._queued[next(iter(self._queued))]
        self._queued[row["id"]] = (row["revision"], transaction)
        return transaction

    def _end_all(self) -> None:
        self._scan = None
        for subscriber in self._subscribers:
            subscriber.buffer.end()


class _Scan:
    """The changes from the earliest snapshot of its subscribers until that of its first page."""

    def __init__(self, subscribers: Sequence[Subscriber]) -> None:
        self.subscribers = subscribers
        self.since = min((subscriber.snapshot for subscriber in subscribers), key=lambda snapshot: snapshot.age)
        self.after: UUID | None = None
        self.until: Snapshot | None = None


def encode_job(row: JobView) -> bytes:
    """Return the job for a stream, without an id."""
    return event_without_id("job", orjson.dumps(job_in_list(row)))
