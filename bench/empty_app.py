"""``python -m bench.empty_app PORT PARENT``: the least that FastAPI can do, served as Callboard's api is."""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI

from callboard.processes.signals import stop_with_parent

app = FastAPI()


@app.post("/")
async def post() -> dict[str, bool]:
    return {"ok": True}


@app.get("/")
async def get() -> dict[str, bool]:
    return {"ok": True}


if __name__ == "__main__":
    stop_with_parent(int(sys.argv[2]))
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
    )
