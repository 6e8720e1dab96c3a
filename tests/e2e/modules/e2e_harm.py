"""Job types that harm the process they run in."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from callboard import JobInterrupted, Run, job

_leaked: Final[list[bytes]] = []


class Gate(BaseModel):
    path: Path
    """Where a file appears when the job may end; it is gone when the handler has returned."""


class Traced(BaseModel):
    path: Path


class Leak(BaseModel):
    bytes: int


class Until(BaseModel):
    attempt: int


class Victim(BaseModel):
    thread: str
    """How the names of the threads begin; one of them ends, as if it had met a bug."""


@job("e2e.pid", queue="e2e")
def pid(_payload: dict[str, str]) -> int:
    """Return the process's id."""
    return os.getpid()


@job("e2e.reported", queue="e2e")
def reported(payload: Gate) -> str:
    """Wait for a file to appear, and remove it."""
    while not payload.path.exists():
        time.sleep(0.02)
    payload.path.unlink()
    return "kept"


@job("e2e.traced", queue="e2e")
def traced(payload: Traced, run: Run) -> int:
    """In the first attempt: run until interrupted, then leave a file."""
    try:
        while run.attempt == 1:
            run.check()
            time.sleep(0.02)
    except JobInterrupted:
        payload.path.touch()
        raise
    return run.attempt


@job("e2e.leak", queue="e2e")
def leak(payload: Leak) -> int:
    """Keep memory for as long as the process lives; return its id."""
    _leaked.append(b"x" * payload.bytes)
    return os.getpid()


@job("e2e.hold_lock", queue="e2e")
def hold_lock(payload: Until, run: Run) -> int:
    """Sit in a C call that does not give up Python's lock; return the process's id from that attempt on."""
    if run.attempt < payload.attempt:
        ctypes.PyDLL(None).sleep(60)
    return os.getpid()


@job("e2e.hang_isolated", queue="e2e", isolation="process")
def hang_isolated(payload: Traced) -> None:
    """Start a child, leave a file with both process ids, and sit in a C call that does not give up Python's lock."""
    child = subprocess.Popen(["sleep", "60"])
    payload.path.with_suffix(".new").write_text(f"{os.getpid()} {child.pid}")
    payload.path.with_suffix(".new").rename(payload.path)
    ctypes.PyDLL(None).sleep(60)


@job("e2e.leave_thread", queue="e2e")
def leave_thread(_payload: dict[str, str]) -> int:
    """Leave a thread that never ends, and that the interpreter waits for at its end; return the process's id."""
    threading.Thread(target=threading.Event().wait, daemon=False).start()
    return os.getpid()


@job("e2e.kill_thread", queue="e2e")
def kill_thread(payload: Victim, run: Run) -> int:
    """End another thread of the process; return the process's id."""
    victim = next(
        thread
        for thread in threading.enumerate()
        if payload.thread in {thread.name, type(thread).__name__} and thread is not threading.current_thread()
    )
    assert victim.ident is not None
    while victim.is_alive():
        # Again and again: it survives where it handles a message, as an error ends only that; this job may have two.
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(victim.ident), ctypes.py_object(SystemExit))
        run.check()
        victim.join(1)
    return os.getpid()


@job("e2e.close", queue="e2e", max_retries=0)
def close(payload: str) -> int:
    """Close what everybody here writes to; return the process's id."""
    match payload:
        case "sys.stdout":
            sys.stdout.close()
        case "sys.stderr":
            sys.stderr.close()
        case "descriptors":
            os.closerange(0, 3)
    return os.getpid()


@job("e2e.fork", queue="e2e", max_retries=0)
def fork(payload: Traced) -> None:
    """Leave a copy of the process and a child, and a file with the ids of both."""
    copy = os.fork()
    if copy == 0:
        time.sleep(600)
    child = subprocess.Popen(["sleep", "600"])
    payload.path.with_suffix(".new").write_text(f"{copy} {child.pid}")
    payload.path.with_suffix(".new").rename(payload.path)
