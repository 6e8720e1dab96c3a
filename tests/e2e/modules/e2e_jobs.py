"""Job types for tests, as a project that uses Callboard would define them."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from pathlib import Path
from uuid import UUID

import dramatiq
from pydantic import BaseModel

from callboard import Run, adopt, job

QUEUE = "e2e"


class Ledger(BaseModel):
    path: Path


class Until(BaseModel):
    attempt: int
    """The attempt that returns at once; those before it go on until they are stopped."""


class Gate(BaseModel):
    path: Path
    """Where a file appears when the job may end."""


class File(BaseModel):
    file: UUID


class Digest(BaseModel):
    sha256: str
    bytes: int


@job("e2e.ledger", queue=QUEUE)
def ledger(payload: Ledger, run: Run) -> None:
    """Append a line to a file."""
    line = f"{run.job_id} {run.attempt} {os.getpid()}\n".encode()
    descriptor = os.open(payload.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


@job("e2e.patient", queue=QUEUE, min_backoff=0.1, max_backoff=0.1)
def patient(payload: Until, run: Run) -> int:
    """Run until interrupted."""
    while run.attempt < payload.attempt:
        run.check()
        time.sleep(0.02)
    return run.attempt


@job("e2e.stubborn", queue=QUEUE, min_backoff=0.1, max_backoff=0.1)
def stubborn(payload: Until, run: Run) -> int:
    """Sit in one C call for a minute, out of reach of any exception."""
    if run.attempt < payload.attempt:
        time.sleep(60)
    return run.attempt


@job("e2e.gate", queue=QUEUE)
def gate(payload: Gate, run: Run) -> None:
    """Wait for a file to appear."""
    while not payload.path.exists():
        run.check()
        time.sleep(0.02)


@job("e2e.noop", queue=QUEUE)
def noop(_payload: dict[str, str]) -> None:
    """Do nothing, in the queue of the gate."""


@job("e2e.digest", queue=QUEUE)
def digest(payload: File, run: Run) -> Digest:
    """Hash an uploaded file."""
    content = run.file(payload.file).read_bytes()
    return Digest(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


@job("e2e.async", queue=QUEUE)
async def wait_together(payload: list[float], run: Run) -> dict[str, float]:
    """Sleep several times at once."""
    began = asyncio.get_running_loop().time()
    run.progress(0, len(payload), "Asleep")
    await asyncio.gather(*(asyncio.sleep(seconds) for seconds in payload))
    run.progress(len(payload), len(payload), "Awake")
    return {"slept": sum(payload), "took": asyncio.get_running_loop().time() - began}


@job("e2e.closed", queue="e2e.closed")
def closed(_payload: dict[str, str]) -> None:
    """Wait in a queue that the tests have paused."""


@dramatiq.actor(actor_name="e2e.add", queue_name=QUEUE, max_retries=1, min_backoff=100, max_backoff=100)
def add(first: int, second: int = 0) -> int:
    """Add two numbers, as a project did before it knew of Callboard."""
    if second < 0:
        raise ArithmeticError("only natural numbers")
    return first + second


adopt(add)


@job("e2e.send", queue=QUEUE)
def send(_payload: dict[str, str]) -> None:
    """Enqueue as one does with Dramatiq alone."""
    add.send(1)
