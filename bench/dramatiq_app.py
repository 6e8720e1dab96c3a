"""``python -m bench.dramatiq_app PORT PARENT QUEUE``: an endpoint that sends a message of Dramatiq, no more.

Served as Callboard's api is. ``BENCH_AMQP_URL`` says where RabbitMQ is.
"""

from __future__ import annotations

import os
import sys

from fastapi import FastAPI

from bench.raw_dramatiq import make_actors
from bench.serving import serve

app = FastAPI()


# Not a coroutine: Dramatiq's send() waits for RabbitMQ's confirm.
@app.post("/clock/{port}")
def clock(port: int) -> dict[str, str]:
    return {"id": app.state.actors.clock.send(port).message_id}


if __name__ == "__main__":
    app.state.actors = make_actors(os.environ["BENCH_AMQP_URL"], sys.argv[3], confirm_delivery=True)
    serve(app, port=int(sys.argv[1]), parent=int(sys.argv[2]))
