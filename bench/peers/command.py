"""The command line that all peers have in common."""

from __future__ import annotations

import asyncio
import inspect
import multiprocessing
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any, Final

DATABASE_URL: Final = os.environ.get("BENCH_DATABASE_URL", "")
AMQP_URL: Final = os.environ.get("BENCH_AMQP_URL", "")
PROCESSES: Final = int(os.environ.get("BENCH_PROCESSES", "1"))
OPTION: Final = os.environ.get("BENCH_OPTION", "")

Step = Callable[[], Awaitable[None] | None]
Submit = Callable[[int], Awaitable[None] | None]


def run(*, install: Step, submit: Submit, work: Step) -> None:
    """Do what the arguments say."""
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever it has to say goes to the log
    match sys.argv[1:]:
        case ["install"]:
            _finish(install())
        case ["submit", jobs]:
            _finish(submit(int(jobs)))
        case ["work"]:
            _finish(work())
        case _:
            sys.exit("usage: install | submit N | work")


def in_processes(target: Callable[[], None]) -> None:
    """Run a worker in ``BENCH_PROCESSES`` processes, and end them when this one is asked to end."""
    children = [multiprocessing.get_context("spawn").Process(target=target) for _ in range(PROCESSES)]
    for child in children:
        child.start()

    def stop(_number: int, _frame: FrameType | None) -> None:
        for child in children:
            child.terminate()

    signal.signal(signal.SIGTERM, stop)
    for child in children:
        child.join()


def _finish(result: Any) -> None:
    if inspect.isawaitable(result):

        async def finish() -> None:
            await result

        asyncio.run(finish())
