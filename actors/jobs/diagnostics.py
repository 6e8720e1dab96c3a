"""``diagnostics.*``: job types that operators run to try a deployment."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from callboard.actors.types.registry import job
from callboard.actors.types.run import Run

QUEUE = "diagnostics"
# Seconds: long enough to be seen, short enough to wait for.
MIN_BACKOFF = 1.0
MAX_BACKOFF = 30.0

Seconds = Annotated[float, Field(ge=0, le=86_400, description="How long, in seconds.")]


class _Payload(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Echo(_Payload):
    """Any JSON value."""

    value: Any = None


class Sleep(_Payload):
    """How long to sleep, and in how many steps."""

    seconds: Seconds
    steps: Annotated[int, Field(ge=1, le=10_000, description="Progress is reported after each step.")] = 10


class Fail(_Payload):
    """What to raise, and when to stop raising."""

    message: str = "This job fails because it was asked to."
    succeed_on_attempt: Annotated[
        int | None, Field(ge=1, description="The attempt that returns instead of raising; null: none does.")
    ] = None


class Spin(_Payload):
    """How long to compute."""

    seconds: Seconds


class Hang(_Payload):
    """How long to block."""

    seconds: Seconds


class Crash(_Payload):
    """When to crash."""

    on_attempt: Annotated[int, Field(ge=1, description="The attempt that kills its worker process.")] = 1


class Noop(_Payload):
    """Nothing."""


class Attempt(BaseModel):
    """Which attempt got here."""

    attempt: int


class DiagnosedFailure(Exception):
    """Raised by ``diagnostics.fail``."""


@job("diagnostics.echo", queue=QUEUE, example={"value": {"hello": "world"}})
def echo(payload: Echo) -> Echo:
    """Return the payload."""
    return payload


@job("diagnostics.sleep", queue=QUEUE, highest_time_limit=86_400, example={"seconds": 5, "steps": 10})
def sleep(payload: Sleep, run: Run) -> None:
    """Sleep in steps, and report progress after each."""
    for step in range(payload.steps):
        run.progress(step, payload.steps, f"Step {step + 1} of {payload.steps}", step=f"step {step + 1}")
        time.sleep(payload.seconds / payload.steps)
    run.progress(payload.steps, payload.steps, "Slept")


@job(
    "diagnostics.fail", queue=QUEUE, min_backoff=MIN_BACKOFF, max_backoff=MAX_BACKOFF, example={"succeed_on_attempt": 3}
)
def fail(payload: Fail, run: Run) -> Attempt:
    """Raise, until the attempt that is to succeed."""
    if payload.succeed_on_attempt is None or run.attempt < payload.succeed_on_attempt:
        raise DiagnosedFailure(payload.message)
    return Attempt(attempt=run.attempt)


@job("diagnostics.spin", queue=QUEUE, example={"seconds": 2})
def spin(payload: Spin) -> None:
    """Compute in pure Python, never looking whether it should stop."""
    until = time.monotonic() + payload.seconds
    while time.monotonic() < until:
        sum(range(1000))


@job("diagnostics.hang", queue=QUEUE, example={"seconds": 2}, operators_only=True)
def hang(payload: Hang) -> None:
    """Block in one C call, out of reach of any exception. Operators only: its thread runs nothing else meanwhile."""
    time.sleep(payload.seconds)


@job("diagnostics.hang_isolated", queue=QUEUE, isolation="process", example={"seconds": 2})
def hang_isolated(payload: Hang) -> None:
    """Block in one C call, in a process of its own that is killed when it does not stop."""
    # With the interpreter's lock, so that no thread of the process can do anything.
    ctypes.PyDLL(None).usleep(int(payload.seconds * 1_000_000))


@job(
    "diagnostics.crash",
    queue=QUEUE,
    min_backoff=MIN_BACKOFF,
    max_backoff=MAX_BACKOFF,
    example={"on_attempt": 1},
    operators_only=True,
)
def crash(payload: Crash, run: Run) -> Attempt:
    """Kill the worker process (SIGKILL) on one attempt, return on the others.

    Operators only: the attempts of other jobs in the process are lost, too.
    """
    if run.attempt == payload.on_attempt:
        os.kill(os.getpid(), signal.SIGKILL)
    return Attempt(attempt=run.attempt)


@job("diagnostics.noop", queue=QUEUE, example={})
def noop(_: Noop) -> None:
    """Do nothing: the cost of a job itself."""
