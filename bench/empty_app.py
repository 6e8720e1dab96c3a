"""``python -m bench.empty_app PORT PARENT``: the least that FastAPI can do, served as Callboard's api is."""

from __future__ import annotations

import sys

from fastapi import FastAPI

from bench.serving import serve

app = FastAPI()


@app.post("/")
async def post() -> dict[str, bool]:
    return {"ok": True}


@app.get("/")
async def get() -> dict[str, bool]:
    return {"ok": True}


if __name__ == "__main__":
    serve(app, port=int(sys.argv[1]), parent=int(sys.argv[2]))
