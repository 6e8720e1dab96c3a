"""uvicorn's server, made to stop at once even while requests wait for jobs."""

from __future__ import annotations

import socket

import uvicorn
from fastapi import FastAPI


class Server(uvicorn.Server):
    """Ends the waits of requests before it waits for the requests themselves.

    uvicorn tells the application to shut down only after the last request has been answered.
    """

    def __init__(self, app: FastAPI, config: uvicorn.Config) -> None:
        """Args: ``app`` is what ``config`` serves, by itself or within something else."""
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.services.waits.stop()
        await super().shutdown(sockets)
