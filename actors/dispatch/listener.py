"""LISTEN: wakes the dispatcher when there are new jobs. A notification may be lost, so the dispatcher polls, too."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg
import structlog
from psycopg import sql

from callboard.db.settings import Settings
from callboard.db.sql.engine import driver_arguments, reason_of
from callboard.db.sql.notify import DISPATCH_CHANNEL
from callboard.db.sql.session import direct_arguments

_log = structlog.get_logger(__name__)

_CHECK_STOP_EVERY = 1.0
_RECONNECT_PAUSE = 2.0


class Listener:
    """Calls ``on_notification`` in a thread with a connection of its own, which bypasses a pooler."""

    def __init__(self, settings: Settings, on_notification: Callable[[], None]) -> None:
        self._settings = settings
        self._on_notification = on_notification
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="listener", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_CHECK_STOP_EVERY + self._settings.connect_timeout + 1)

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except psycopg.Error as error:
                _log.warning("listener_disconnected", reason=reason_of(error))
                self._stopping.wait(_RECONNECT_PAUSE)

    def _listen(self) -> None:
        address = driver_arguments(self._settings.direct_database_url())
        ours = direct_arguments(self._settings, "listener", options=address.get("options", ""))
        with psycopg.connect(**address | ours, autocommit=True) as connection:
            connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(DISPATCH_CHANNEL)))
            # For notifications that were sent before the LISTEN.
            self._on_notification()
            while not self._stopping.is_set():
                for _ in connection.notifies(timeout=_CHECK_STOP_EVERY, stop_after=1):
                    self._on_notification()
