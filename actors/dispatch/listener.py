"""LISTEN: hears of new jobs at once. Only a hint; whoever uses it polls as well."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg
import structlog
from psycopg import sql

from callboard.db.settings import Settings
from callboard.db.sql.engine import reason_of
from callboard.db.sql.notify import DISPATCH_CHANNEL

_log = structlog.get_logger(__name__)

_CHECK_STOP_EVERY = 1.0
_RECONNECT_PAUSE = 2.0


class Listener:
    """Calls ``heard`` after each notice, from a thread with a connection of its own (no pooler in between)."""

    def __init__(self, settings: Settings, heard: Callable[[], None]) -> None:
        self._settings = settings
        self._heard = heard
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
        with psycopg.connect(
            self._settings.direct_database_url(),
            autocommit=True,
            connect_timeout=self._settings.connect_timeout,
            application_name="callboard listener",
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
        ) as connection:
            connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(DISPATCH_CHANNEL)))
            # What was sent while nobody listened.
            self._heard()
            while not self._stopping.is_set():
                for _ in connection.notifies(timeout=_CHECK_STOP_EVERY, stop_after=1):
                    self._heard()
