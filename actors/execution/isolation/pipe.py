"""The connection to the worker, as the handler's process sees it."""

from __future__ import annotations

import os
import threading
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any


class WorkerPipe:
    """Sends, and receives answers, in a thread of its own: the handler's may be interrupted at any moment.

    Safe to use from any thread. When the worker is gone, so is this process.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._outbox: SimpleQueue[tuple[Any, SimpleQueue[Any] | None]] = SimpleQueue()
        threading.Thread(target=self._work, name="link", daemon=True).start()

    def ask(self, message: Any) -> Any:
        """Send a message and return the answer."""
        answers: SimpleQueue[Any] = SimpleQueue()
        self._outbox.put((message, answers))
        return answers.get()

    def tell(self, message: Any) -> None:
        """Send a message that has no answer, after those before it. Does not wait."""
        self._outbox.put((message, None))

    def _work(self) -> None:
        try:
            while True:
                message, answers = self._outbox.get()
                self._connection.send(message)
                if answers is not None:
                    answers.put(self._connection.recv())
        finally:
            os._exit(1)
