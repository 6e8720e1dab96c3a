"""Job types that harm the process they run in."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from callboard import Run, job

_leaked: Final[list[bytes]] = []


class Gate(BaseModel):
    path: Path
    """Where a file appears when the job may end; it is gone when the handler has returned."""


class Leak(BaseModel):
    bytes: int


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


@job("e2e.leak", queue="e2e")
def leak(payload: Leak) -> int:
    """Keep memory for as long as the process lives; return its id."""
    _leaked.append(b"x" * payload.bytes)
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
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(victim.ident), ctypes.py_object(SystemExit))
    while victim.is_alive():
        run.check()
        time.sleep(0.01)
    return os.getpid()
