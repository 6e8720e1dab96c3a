"""The job types of the load. Every attempt of every handler is in the ledger."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel

from callboard import Run, job
from tests.faults import ledger
from tests.faults.ledger import Mark

QUEUE = "faults"
SLOW_QUEUE = "faults.slow"


class Work(BaseModel):
    number: int
    """Tells submissions apart, whatever ids their jobs get."""
    ledger: Path
    seconds: float = 0
    steps: int = 0
    """Progress reports."""
    fail_until: int = 1
    """The first attempt that succeeds."""
    attach_bytes: int = 0


class Done(BaseModel):
    number: int
    attempt: int
    """By whose hand it was done: the history must name the same."""


@contextmanager
def written_down(work: Work, run: Run) -> Iterator[None]:
    """Write down that the handler starts, and that it ends."""
    ledger.append(work.ledger, Mark.START, run.job_id, run.attempt)
    try:
        yield
    finally:
        ledger.append(work.ledger, Mark.END, run.job_id, run.attempt)


def take_effect(work: Work, run: Run) -> Done:
    """Do what the handler is for, and return its result."""
    ledger.append(work.ledger, Mark.EFFECT, run.job_id, run.attempt)
    return Done(number=work.number, attempt=run.attempt)


def _perform(work: Work, run: Run) -> Done:
    with written_down(work, run):
        until = time.monotonic() + work.seconds
        for step in range(work.steps):
            run.progress(step, work.steps)
            time.sleep(work.seconds / work.steps)
        while time.monotonic() < until:
            run.check()
            time.sleep(0.02)
        if work.attach_bytes:
            run.attach(bytes(work.attach_bytes), name="output.bin")
        if run.attempt < work.fail_until:
            raise RuntimeError(f"fails until attempt {work.fail_until}")
        if work.steps:
            run.progress(work.steps, work.steps)
        return take_effect(work, run)


@job("faults.work", queue=QUEUE, max_retries=20, min_backoff=0.2, max_backoff=1)
def work(payload: Work, run: Run) -> Done:
    """Work for a while, report, fail a few times, attach a file: what the payload says."""
    return _perform(payload, run)


@job("faults.slow", queue=SLOW_QUEUE, max_retries=20, min_backoff=0.2, max_backoff=1)
def slow(payload: Work, run: Run) -> Done:
    """The same in a queue of its own."""
    return _perform(payload, run)


@job("faults.async", queue=QUEUE, max_retries=20, min_backoff=0.2, max_backoff=1)
async def asynchronous(payload: Work, run: Run) -> Done:
    """Wait in an event loop."""
    with written_down(payload, run):
        await asyncio.sleep(payload.seconds)
        return take_effect(payload, run)


@job("faults.hold", queue=SLOW_QUEUE, max_retries=20, min_backoff=0.2, max_backoff=1)
def hold(payload: Work, run: Run) -> Done:
    """Sit in one C call, out of reach of every interruption."""
    with written_down(payload, run):
        time.sleep(payload.seconds)
        return take_effect(payload, run)


@job("faults.poison", queue=QUEUE, max_retries=3, min_backoff=0.2, max_backoff=1)
def poison(payload: Work, run: Run) -> None:
    """Kill the worker process, on every attempt."""
    ledger.append(payload.ledger, Mark.START, run.job_id, run.attempt)
    os.kill(os.getpid(), signal.SIGKILL)
