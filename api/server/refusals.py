"""Requests that were refused (401, 403, 421), counted, and written to the audit log now and then.

However many an attacker sends, each process adds a bounded number of entries a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

import structlog
from sqlalchemy import Connection
from starlette.types import Scope

from callboard.api.auth.caller import Caller
from callboard.db.access.audit import Actor, write_audit
from callboard.db.errors import Unavailable
from callboard.db.rules.text import shortened

_log = structlog.get_logger(__name__)

#: Seconds between two writes.
_INTERVAL: Final = 60.0
#: Most entries of one write. More callers and addresses are counted together.
_MOST_ENTRIES: Final = 20
_LONGEST_PATH: Final = 200

_ACTIONS: Final = {401: "request.unauthenticated", 403: "request.forbidden", 421: "request.misdirected"}
_NOBODY: Final = "anonymous"
_OTHERS: Final = Actor("others")


class _Run(Protocol):
    """Runs work in a transaction, as ``DatabaseThreads.run`` does."""

    def __call__(self, work: Callable[[Connection], None], /) -> Awaitable[None]: ...


@dataclass(slots=True)
class _Tally:
    count: int = 0
    last: str = ""


_Tallies = dict[tuple[str, Actor], _Tally]
"""By the action and who tried it."""


class Refusals:
    """Counts refused requests by status, caller and address. Used in one event loop."""

    def __init__(self) -> None:
        self._tallies: _Tallies = {}
        self._run: _Run | None = None
        self._writing: asyncio.Task[None] | None = None

    def start(self, run: _Run) -> None:
        """Write what is counted from now on with ``run``."""
        self._run = run

    def answered(self, scope: Scope, status: int) -> None:
        """Count the request, if this status refuses it."""
        action = _ACTIONS.get(status)
        if action is None:
            return
        self._count(action, _actor_of(scope), 1, f"{scope['method']} {shortened(scope['path'], _LONGEST_PATH)}")
        if self._writing is None and self._run is not None:
            self._writing = asyncio.create_task(self._write_later(self._run))

    def stop(self) -> None:
        """Write no more by itself; :meth:`write_rest` does. Called in the loop."""
        if self._writing is not None:
            self._writing.cancel()

    @property
    def counted(self) -> bool:
        """Whether any have been counted since the last write."""
        return bool(self._tallies)

    def write_rest(self, connection: Connection) -> None:
        """Write what has been counted since the last write. Called after :meth:`stop`."""
        _write(connection, self._tallies)

    def _count(self, action: str, actor: Actor, times: int, last: str) -> None:
        if (action, actor) not in self._tallies and len(self._tallies) >= _MOST_ENTRIES:
            actor = _OTHERS
        tally = self._tallies.setdefault((action, actor), _Tally())
        tally.count += times
        tally.last = last

    async def _write_later(self, run: _Run) -> None:
        while self._tallies:
            await asyncio.sleep(_INTERVAL)
            taken, self._tallies = self._tallies, {}
            try:
                await run(partial(_write, tallies=taken))
            except Unavailable as error:
                # Perhaps they have been written all the same: rather twice than never.
                _log.warning("refusals_not_written", reason=str(error))
                for (action, actor), tally in taken.items():
                    self._count(action, actor, tally.count, tally.last)
        self._writing = None


def _write(connection: Connection, tallies: _Tallies) -> None:
    for (action, actor), tally in tallies.items():
        write_audit(connection, actor, action, subject=f"{tally.count} times; the last: {tally.last}")


def _actor_of(scope: Scope) -> Actor:
    caller: Caller | None = scope.get("caller")
    remote = None if scope["client"] is None else scope["client"][0]
    return Actor(_NOBODY, remote) if caller is None else Actor(caller.owner, remote, key_id=caller.key_id)
