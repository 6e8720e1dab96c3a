"""``python -m bench.raw_dramatiq QUEUE THREADS``: a worker of Dramatiq alone, as its documentation sets it up.

``BENCH_AMQP_URL`` says where RabbitMQ is. Reads ``go`` and ``stop`` from standard input and answers each with a line: a
worker that is stopped takes nothing from the queue, so that messages can be published before they are to be worked on.
"""

from __future__ import annotations

import os
import sys

import dramatiq
from dramatiq import Worker
from dramatiq.brokers.rabbitmq import RabbitmqBroker


def make_actor(url: str, queue: str) -> dramatiq.Actor[[], None]:
    """Return an actor that does nothing, on a broker with Dramatiq's default middleware."""
    broker = RabbitmqBroker(url=url)
    actor: dramatiq.Actor[[], None] = dramatiq.actor(actor_name="noop", queue_name=queue, broker=broker)(_noop)
    return actor


def _noop() -> None:
    pass


def main() -> None:
    queue, threads = sys.argv[1:]
    broker = make_actor(os.environ["BENCH_AMQP_URL"], queue).broker
    worker: Worker | None = None
    for line in sys.stdin:
        if line.strip() == "go":
            worker = Worker(broker, worker_threads=int(threads))
            worker.start()
        elif worker is not None:
            worker.stop()
        sys.stdout.write("done\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
