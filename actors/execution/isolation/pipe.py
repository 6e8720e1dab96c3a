"""The connection to the worker, as the handler's process sees it."""

from __future__ import annotations

import os
import threading
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from callboard.actors.execution.forked_copy import refuse_copy


class WorkerPipe:
    """Sends messages and receives replies, in a thread of its own: the handler's may be interrupted at any time.

    Safe to use from any thread. When the worker is gone, this process ends. A copy of this process, which has none of
    its threads, may not use it (``ForkedCopyError``).
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._process_id = os.getpid()
        self._outbox: SimpleQueue[tuple[Any, SimpleQueue[Any] | None, bool]] = SimpleQueue()
        threading.Thread(target=self._work, name="link", daemon=True).start()

    def request(self, message: Any) -> Any:
        """Send a message and return the reply."""
        refuse_copy(self._process_id)
        replies: SimpleQueue[Any] = SimpleQueue()
        self._outbox.put((message, replies, True))
        return replies.get()

    def deliver(self, message: Any) -> None:
        """Send a message that has no reply, and wait until it has been sent."""
        sent: SimpleQueue[Any] = SimpleQueue()
        self._outbox.put((message, sent, False))
        sent.get()

    def send(self, message: Any) -> None:
        """Send a message that has no reply, after those before it. Does not wait."""
        refuse_copy(self._process_id)
        self._outbox.put((message, None, False))

    def _work(self) -> None:
        try:
            while True:
                message, answers, has_reply = self._outbox.get()
                self._connection.send(message)
                if answers is not None:
                    answers.put(self._connection.recv() if has_reply else None)
        finally:
            os._exit(1)
