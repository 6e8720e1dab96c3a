"""uvicorn's server, made to stop at once even while requests wait for jobs and streams are open."""

from __future__ import annotations

import gc
import socket

import uvicorn
from fastapi import FastAPI


class Server(uvicorn.Server):
    """Ends waits and streams before it waits for the requests themselves.

    uvicorn tells the application to shut down only after the last request has been answered.
    """

    def __init__(self, app: FastAPI, config: uvicorn.Config) -> None:
        """Args: ``app`` is what ``config`` serves, by itself or within something else."""
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        services = self._app.state.services
        services.waits.stop()
        services.live.stop()
        await super().shutdown(sockets)


def spare_garbage_collection() -> None:
    """Make Python's cyclic garbage collector come less often, and pass over what lives as long as the process.

    Called once, when all is imported and made. With the defaults it comes after every few requests, looks through all
    modules again and again, and takes a third of the time of a poll; requests leave hardly anything for it to find.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
