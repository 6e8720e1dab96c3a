"""Serves what an api process is compared with, under the same settings as Callboard's own."""

from __future__ import annotations

import uvicorn
from fastapi import FastAPI

from callboard.processes.signals import stop_with_parent


def serve(app: FastAPI, *, port: int, parent: int) -> None:
    """Serve an application on this machine until the process ``parent`` ends, or this one is told to."""
    stop_with_parent(parent)
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
    )
