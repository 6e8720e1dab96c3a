"""``python -m bench.raw_dramatiq QUEUE THREADS``: a worker of Dramatiq alone, as its documentation sets it up.

``BENCH_AMQP_URL`` says where RabbitMQ is. Reads ``go`` and ``stop`` from standard input and answers each with a line: a
worker that is stopped takes nothing from the queue, so that messages can be published before they are to be worked on.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

import dramatiq
from dramatiq import Worker
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.middleware import CurrentMessage

from bench.work import BACKOFF, STEPS, fails_first, one_step

#: Environment variable that is there if ``mix`` is to run.
MIX: Final = "BENCH_MIX"


@dataclass(frozen=True, slots=True)
class Actors:
    """Actors of one queue, on a broker with Dramatiq's default middleware."""

    broker: RabbitmqBroker
    noop: dramatiq.Actor[[], None]
    """Does nothing."""
    mix: dramatiq.Actor[[int], None]
    """Works as ``bench.mix`` does in Callboard; there is nobody to report progress to."""
    clock: dramatiq.Actor[[int], None]
    """Tells a UDP port of this machine the seconds since the epoch."""


def make_actors(url: str, queue: str, *, confirm_delivery: bool = False) -> Actors:
    """``confirm_delivery``: what sends a message waits until RabbitMQ has it."""
    broker = RabbitmqBroker(url=url, confirm_delivery=confirm_delivery)
    if MIX in os.environ:
        broker.add_middleware(CurrentMessage())  # tells the actor whether it is retried
    backoff = int(BACKOFF * 1000)
    options: dict[str, Any] = {"queue_name": queue, "broker": broker}
    noop: dramatiq.Actor[[], None] = dramatiq.actor(actor_name="noop", **options)(_noop)
    mix: dramatiq.Actor[[int], None] = dramatiq.actor(
        actor_name="mix", min_backoff=backoff, max_backoff=backoff, **options
    )(_mix)
    clock: dramatiq.Actor[[int], None] = dramatiq.actor(actor_name="clock", **options)(_clock)
    return Actors(broker, noop, mix, clock)


def _noop() -> None:
    pass


def _mix(number: int) -> None:
    for _ in range(STEPS):
        one_step()
    message = CurrentMessage.get_current_message()
    if message is not None and not message.options.get("retries") and fails_first(number):
        raise ConnectionError("the first attempt of every tenth job fails")


def _clock(port: int) -> None:
    now = time.time()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(str(now).encode(), ("127.0.0.1", port))


def main() -> None:
    queue, threads = sys.argv[1:]
    broker = make_actors(os.environ["BENCH_AMQP_URL"], queue).broker
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
