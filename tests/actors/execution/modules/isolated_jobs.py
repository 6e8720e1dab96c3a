"""Handlers for a process of their own, as a project would write them, and worse."""

from __future__ import annotations

import asyncio
import ctypes
import mmap
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import dramatiq
from dramatiq.errors import Retry
from pydantic import BaseModel

from callboard import JobInterrupted, Run, adopt, job, register

QUEUE = "isolated"

#: What is left of earlier attempts in this process.
seen: list[str] = []


class Text(BaseModel):
    text: str


class Strange(Exception):
    """Cannot be pickled: its arguments are not its message."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


@job("isolated.echo", queue=QUEUE, isolation="process")
def echo(payload: Text, run: Run) -> dict[str, Any]:
    seen.append(payload.text)
    run.progress(1, 2, "half", step="echo")
    run.progress(2, 2, "whole")
    main = threading.current_thread() is threading.main_thread()
    return {"text": payload.text, "pid": os.getpid(), "main": main, "attempt": run.attempt, "seen": seen}


@job("isolated.async", queue=QUEUE, isolation="process")
async def wait(payload: float, run: Run) -> float:
    await asyncio.sleep(payload)
    await asyncio.to_thread(run.check)
    return payload


@job("isolated.raise", queue=QUEUE, isolation="process", throws=ZeroDivisionError, min_backoff=5)
def fail(payload: str) -> None:
    match payload:
        case "strange":
            raise Strange("this", "that")
        case "throws":
            raise ZeroDivisionError("by zero")
        case "retry":
            raise Retry("later", delay=60_000)
        case "exit":
            sys.exit(3)


@job("isolated.die", queue=QUEUE, isolation="process")
def die(payload: str) -> None:
    match payload:
        case "segfault":
            ctypes.string_at(0)
        case "exit":
            os._exit(7)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "close":
            os.closerange(3, 1000)
            time.sleep(60)


@job("isolated.eat", queue=QUEUE, isolation="process", memory_limit="160MiB")
def eat(payload: int) -> int:
    """Take so many MiB, and stay."""
    held = [bytearray(2**20) for _ in range(payload)]
    if payload > 100:
        time.sleep(60)
    return len(held)


@job("isolated.gulp", queue=QUEUE, isolation="process", memory_limit="160MiB")
def gulp(payload: int) -> int:
    """Take so many MiB, for a moment."""
    return len(b"x" * (payload << 20))


@job("isolated.scan", queue=QUEUE, isolation="process", memory_limit="160MiB")
def scan(payload: Path) -> int:
    """Read a large file through a map, which is not memory of its own."""
    with payload.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as content:
        total = sum(content[position] for position in range(0, len(content), mmap.PAGESIZE))
        time.sleep(2)  # as a real scan takes: the guard sees the map
        return total


@job("isolated.hang", queue=QUEUE, isolation="process")
def hang(payload: Path) -> None:
    """Hold the interpreter's lock in a C call, with a child, a grandchild and a daemon beside."""
    child = subprocess.Popen([sys.executable, "-c", _FAMILY, str(payload)])
    while not (payload / "daemon").exists():
        time.sleep(0.01)
    (payload / "handler").write_text(f"{os.getpid()} {os.getppid()} {child.pid}")
    ctypes.PyDLL(None).sleep(60)


_FAMILY = """
import os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        (folder / "part").write_text(str(os.getpid()))
        (folder / "part").rename(folder / "daemon")
        time.sleep(60)
    os._exit(0)
time.sleep(60)
"""


@job("isolated.stubborn", queue=QUEUE, isolation="process")
def stubborn(payload: Path) -> str:
    """Catch everything, and go on."""
    while True:
        with suppress(BaseException):
            payload.touch()
            while True:
                time.sleep(0.01)


@job("isolated.spin", queue=QUEUE, isolation="process")
def spin(payload: Path, run: Run) -> None:
    """Never read the flag; when interrupted, save a checkpoint."""
    count = run.restored or 0
    try:
        while True:
            count += 1
            payload.touch()
    except JobInterrupted:
        run.checkpoint(count)
        raise


@job("isolated.leave", queue=QUEUE, isolation="process")
def leave(payload: str) -> int:
    """Leave something behind."""
    match payload:
        case "thread":
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        case "process":
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        case "directory":
            os.chdir("/")
    return os.getpid()


@job("isolated.files", queue=QUEUE, isolation="process")
def files(payload: UUID, run: Run) -> list[UUID]:
    path = run.file(payload)
    content = path.read_bytes()
    return [
        run.attach(path, name="copy.txt"),
        run.attach(content.upper()),
        run.attach((content for _ in range(3)), name="thrice.txt"),
    ]


@job("isolated.missing", queue=QUEUE, isolation="process")
def missing(payload: UUID, run: Run) -> None:
    run.file(payload)


@job("isolated.once", queue=QUEUE, isolation="process", min_backoff=0, max_backoff=0)
def once(payload: Path, run: Run) -> list[Any]:
    """Charge a card, and fail after it the first time."""

    def charge() -> str:
        with payload.open("a") as ledger:
            ledger.write(f"{run.token('charge')}\n")
        return "receipt"

    receipt = run.once("charge", charge)
    restored = run.restored
    run.checkpoint({"attempt": run.attempt})
    if run.attempt == 1:
        raise ValueError("after the charge")
    return [receipt, restored]


@dramatiq.actor(actor_name="isolated.add", queue_name=QUEUE)
def add(first: int, second: int) -> int:
    return first + second + 0 * os.getpid()


adopt(add, isolation="process", memory_limit="1GiB")


def multiply(first: int, second: int) -> list[int]:
    """Multiply two numbers."""
    return [first * second, os.getpid()]


register("isolated.multiply", multiply, queue=QUEUE, isolation="process", memory_limit=2**30)


@job("thread.hang", queue=QUEUE, min_backoff=60)
def hang_in_thread(payload: Path) -> str:
    """Sit in one C call until somebody opens the other end of a pipe with a name."""
    os.close(os.open(payload, os.O_RDONLY))
    return "late"


@job("thread.checkpoint", queue=QUEUE)
def checkpointing(payload: Path, run: Run) -> Any:
    """Go on from the last checkpoint; save one when stopped, which takes a while."""
    if run.restored is not None:
        return run.restored
    try:
        while True:
            run.check()
            payload.touch()
            time.sleep(0.01)
    finally:
        time.sleep(0.6)  # longer than until the exception would be raised in the thread
        run.checkpoint({"at": 42})
