"""uvicorn's server, made to stop at once even while requests wait for jobs and streams are open.

And made to send away clients that do not send their requests.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import socket
from typing import Final

import uvicorn
from fastapi import FastAPI

from callboard.api.server.protocol import BoundedConnection

#: Ticks of a tenth of a second.
_LOOK_EVERY: Final = 5


class Server(uvicorn.Server):
    """Ends waits and streams before it waits for the requests themselves.

    uvicorn tells the application to shut down only after the last request has been answered.
    """

    def __init__(self, app: FastAPI, config: uvicorn.Config) -> None:
        """Args: ``app`` is what ``config`` serves, by itself or within something else."""
        super().__init__(config)
        self._app = app

    async def on_tick(self, counter: int) -> bool:
        if counter % _LOOK_EVERY == 0:
            now = asyncio.get_running_loop().time()
            timeout = self._app.state.services.settings.receive_timeout
            for connection in list(self.server_state.connections):
                if isinstance(connection, BoundedConnection):
                    connection.look(now, timeout)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        services = self._app.state.services
        services.waiters.stop()
        services.live.stop()
        await super().shutdown(sockets)


def allow_many_connections() -> None:
    """Let this process have as many files open as the system allows: each connection is one.

    The usual limit, 1024, is for programs that use ``select``; what may be had is usually a thousand times that.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def spare_garbage_collection() -> None:
    """Make Python's cyclic garbage collector come less often, and pass over what lives as long as the process.

    Called once, when all is imported and made. With the defaults it comes after every few requests, looks through all
    modules again and again, and takes a third of the time of a poll; requests leave hardly anything for it to find.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
