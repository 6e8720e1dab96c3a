"""uvicorn's server, with a prompt shutdown despite waiting requests and open streams, and with request timeouts."""

from __future__ import annotations

import asyncio
import gc
import resource
import socket
from typing import Final

import uvicorn
from fastapi import FastAPI

from callboard.api.server.protocol import BoundedConnection

#: Ticks, each a tenth of a second, between two checks of all connections.
_TICKS_PER_CHECK: Final = 5


class Server(uvicorn.Server):
    """Ends waits and streams before uvicorn's shutdown, which lasts until the last request has been answered."""

    def __init__(self, app: FastAPI, config: uvicorn.Config) -> None:
        """
        Args:
            app: the application that ``config`` serves, alone or within another one.
            config: of uvicorn.
        """
        super().__init__(config)
        self._app = app

    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS_PER_CHECK == 0:
            now = asyncio.get_running_loop().time()
            timeout = self._app.state.services.settings.receive_timeout
            for connection in list(self.server_state.connections):
                if isinstance(connection, BoundedConnection):
                    connection.check_timeout(now, timeout)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        services = self._app.state.services
        services.waiters.stop()
        services.live.stop()
        await super().shutdown(sockets)


def allow_many_connections() -> None:
    """Raise this process's limit of open files, and so of connections, to the hard limit.

    The usual soft limit, 1024, is for programs that use ``select``; the hard limit is usually a thousand times that.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def spare_garbage_collection() -> None:
    """Run Python's cyclic garbage collector less often, and exclude the objects that exist now.

    Called once, after all imports. With the defaults it runs after every few requests, traverses all modules each
    time, and takes a third of the time of a poll; requests leave hardly any cycles for it to free.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
