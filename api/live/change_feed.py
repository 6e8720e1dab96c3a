"""Streams of all changes to jobs: one query a tick for all of them, however many they are."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol
from uuid import UUID

import orjson

from callboard.api.live.poller import Poller
from callboard.api.live.send_buffer import SendBuffer
from callboard.api.live.sse import body_of, with_id
from callboard.api.wire.rendering import job
from callboard.db.models.job_view import JobView
from callboard.db.reads.change_feed import Changes
from callboard.db.reads.job_filter import JobFilter
from callboard.db.rules.snapshot import Snapshot
from callboard.db.rules.states import Status

#: Jobs that wait, of which the hub remembers what it told: their messages are confirmed, which changes nothing to see.
_REMEMBERED: Final = 20_000


class ReadChanges(Protocol):
    """Returns what changed since a moment, as ``read_changes`` does; may raise ``Unavailable``."""

    def __call__(self, since: Snapshot, *, after: UUID | None) -> Awaitable[Changes]: ...


@dataclass(slots=True, eq=False)
class Subscriber:
    """A stream that has all changes up to ``moment``."""

    wanted: JobFilter
    moment: Snapshot
    buffer: SendBuffer
    last: bytes = field(default=b"", init=False)

    def wants(self, row: JobView, transaction: int) -> bool:
        """Whether the job is to be told, whose present state this transaction wrote."""
        return not self.moment.sees(transaction) and self.wanted.includes(row)

    def tell(self, body: bytes) -> None:
        """Send a job. Held back until the next one: the last of a look carries its id."""
        self.buffer.put(self.last)
        self.last = body

    def complete(self, moment: Snapshot) -> None:
        """All changes up to ``moment`` have been told."""
        self.moment = moment
        if self.last:
            self.buffer.put(with_id(moment, self.last))
            self.last = b""


class ChangeFeed:
    """Looks for jobs that changed, and tells the streams that want them. Used in one event loop.

    A look is everything that changed between two moments, told in pages; only its last event carries an id, so that a
    stream which breaks within goes on with the whole of it.
    """

    def __init__(self, read: ReadChanges) -> None:
        self._read = read
        self._subscribers: set[Subscriber] = set()
        self._ticks = Poller(self._look, wanted=lambda: bool(self._subscribers), failed=self._end_all)
        self._look_of: _Look | None = None
        self._told: dict[UUID, tuple[int, int]] = {}

    @contextmanager
    def subscribed(self, wanted: JobFilter, moment: Snapshot, buffer: SendBuffer) -> Iterator[Subscriber]:
        """Put the wanted jobs that change after ``moment`` into ``outbox``, until the block ends."""
        if not self._subscribers:
            self._look_of = None
        subscriber = Subscriber(wanted, moment, buffer)
        self._subscribers.add(subscriber)
        self._ticks.start()
        try:
            yield subscriber
        finally:
            self._subscribers.discard(subscriber)

    async def _look(self) -> bool:
        look = self._look_of or _Look(list(self._subscribers))
        changes = await self._read(look.since, after=look.after)
        for row in changes.rows:
            transaction = self._written_by(row)
            body = b""
            for subscriber in look.subscribers:
                if subscriber.wants(row, transaction):
                    body = body or encoded(row)
                    subscriber.tell(body)
        look.until = look.until or changes.moment
        if changes.more:
            look.after = changes.rows[-1]["id"]
            self._look_of = look
        else:
            for subscriber in look.subscribers:
                subscriber.complete(look.until)
            self._look_of = None
        return bool(changes.rows)

    def _written_by(self, row: JobView) -> int:
        """Return the transaction that brought about what is to be seen of the job."""
        transaction: int = row["transaction"]
        if row["status"] != Status.QUEUED:
            self._told.pop(row["id"], None)
            return transaction
        told = self._told.get(row["id"])
        if told is not None and told[0] == row["revision"]:
            return told[1]
        while len(self._told) >= _REMEMBERED:
            del self._told[next(iter(self._told))]
        self._told[row["id"]] = (row["revision"], transaction)
        return transaction

    def _end_all(self) -> None:
        self._look_of = None
        for subscriber in self._subscribers:
            subscriber.buffer.end()


class _Look:
    """From the earliest moment of its subscribers until that of its first page."""

    def __init__(self, subscribers: Sequence[Subscriber]) -> None:
        self.subscribers = subscribers
        self.since = min((subscriber.moment for subscriber in subscribers), key=lambda moment: moment.age)
        self.after: UUID | None = None
        self.until: Snapshot | None = None


def encoded(row: JobView) -> bytes:
    """Return the job as it is sent, without an id."""
    return body_of("job", orjson.dumps(job(row, result=False)))
