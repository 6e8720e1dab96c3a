"""Broker and transport in memory, for a process that dispatches and works at the same time.

Messages end with the process. That loses nothing: their jobs' rows are dispatched again.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from dramatiq import MessageProxy, Middleware

from callboard.actors.broker.base import JobBroker, JobConsumer, JobMessage
from callboard.actors.broker.messages import to_message
from callboard.actors.broker.transport import HIGHEST_PRIORITY, Dispatch


class LocalBroker(JobBroker):
    """A broker in memory: higher priority first, then first in, first out. It uses memory for waiting messages only."""

    def __init__(self, middleware: Sequence[Middleware] = ()) -> None:
        super().__init__(middleware)
        self._mailboxes: defaultdict[str, _Mailbox] = defaultdict(_Mailbox)
        self._mailboxes_lock = threading.Lock()

    def mailbox(self, queue: str) -> _Mailbox:
        """Return the waiting messages of a queue, which need not be declared here."""
        with self._mailboxes_lock:
            return self._mailboxes[queue]

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 30_000) -> LocalConsumer:
        """Return the messages of a queue.

        Args:
            prefetch: messages taken ahead, those being worked on included; from 1.
            timeout: longest time, in milliseconds, that ``next()`` waits.
        """
        return LocalConsumer(self, queue_name, prefetch, timeout / 1000)


class LocalTransport:
    """A ``Transport`` into a :class:`LocalBroker` of the same process. Everything is confirmed, at once."""

    starts_empty: Final = True

    def __init__(self, broker: LocalBroker) -> None:
        self._broker = broker

    def depths(self, queues: Sequence[str]) -> Mapping[str, int]:
        """Return the number of messages that wait in each queue; see ``Transport``."""
        return {queue: len(self._broker.mailbox(queue)) for queue in queues}

    def publish(self, dispatches: Sequence[Dispatch]) -> Sequence[Dispatch]:
        """Publish and return all."""
        by_queue: defaultdict[str, list[Dispatch]] = defaultdict(list)
        for dispatch in dispatches:
            by_queue[dispatch.queue].append(dispatch)
        for queue, batch in by_queue.items():
            self._broker.mailbox(queue).put(batch)
        return dispatches

    def close(self) -> None:
        """Do nothing: there is no connection."""


class LocalConsumer(JobConsumer):
    """The messages of one queue, at most ``prefetch`` of them unacknowledged."""

    def __init__(self, broker: LocalBroker, queue: str, prefetch: int, timeout: float) -> None:
        self._broker = broker
        self._queue = queue
        self._mailbox = broker.mailbox(queue)
        self._timeout = timeout
        self._free = prefetch
        broker.report(queue, consuming=True)

    def __next__(self) -> JobMessage | None:
        """Return the next message, or None if there is none within the timeout."""
        self._broker.report_poll(self._queue)
        with self._mailbox.changed:
            if not self._mailbox.changed.wait_for(self._may_take, self._timeout):
                return None
            self._free -= 1
            message = _LocalMessage(self, self._mailbox, self._mailbox.take())
        if self._broker.can_run(message.body):
            return message
        message.acknowledge()
        return None

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Put messages that have not been started back to their place in the queue."""
        for message in reversed(list(messages)):
            assert isinstance(message, JobMessage)  # noqa: S101 (it came from __next__)
            message.requeue()

    def close(self) -> None:
        """Take no more messages."""
        self._broker.forget(self._queue)

    def release(self) -> None:
        """Count one message as acknowledged. Called by the message."""
        with self._mailbox.changed:
            self._free += 1
            self._mailbox.changed.notify_all()

    def _may_take(self) -> bool:
        return self._free > 0 and len(self._mailbox) > 0 and not self._broker.draining


class _LocalMessage(JobMessage):
    def __init__(self, consumer: LocalConsumer, mailbox: _Mailbox, dispatch: Dispatch) -> None:
        self.body = to_message(dispatch)
        super().__init__(self.body)
        self._mailbox = mailbox
        self._dispatch = dispatch
        self._consumer: LocalConsumer | None = consumer

    def acknowledge(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.release()

    def requeue(self) -> None:
        self._mailbox.put_back(self._dispatch)
        self.acknowledge()


class _Mailbox:
    """The waiting messages of one queue."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        """Held while the mailbox is read or changed; notified when a message can be taken."""
        self._lanes: tuple[deque[Dispatch], ...] = tuple(deque() for _ in range(HIGHEST_PRIORITY + 1))
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def put(self, dispatches: Sequence[Dispatch]) -> None:
        """Add messages behind those of the same priority."""
        with self.changed:
            for dispatch in dispatches:
                self._lanes[dispatch.priority].append(dispatch)
            self._length += len(dispatches)
            self.changed.notify_all()

    def put_back(self, dispatch: Dispatch) -> None:
        """Add a message before those of the same priority."""
        with self.changed:
            self._lanes[dispatch.priority].appendleft(dispatch)
            self._length += 1
            self.changed.notify_all()

    def take(self) -> Dispatch:
        """Remove and return the first message. The caller holds ``changed``, and there is a message."""
        self._length -= 1
        return next(lane for lane in reversed(self._lanes) if lane).popleft()
