"""A user's own application, in a package whose name Callboard has for a package of its own."""

from fastapi import FastAPI

import callboard
from db import orders

app = FastAPI()


@app.post("/tables")
@callboard.respond_async(app)
def tables() -> list[str]:
    return [orders.name]
