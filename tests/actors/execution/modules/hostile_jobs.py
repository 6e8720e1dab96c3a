"""Handlers that do to their process what they please."""

from __future__ import annotations

import asyncio
import contextvars
import io
import locale
import logging
import os
import random
import signal
import socket
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from callboard import Run, job

QUEUE = "isolated"

tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")


class Gate(BaseModel):
    folder: Path
    """Where ``started`` appears, and ``end`` lets it end."""


@job("hostile.wait", queue=QUEUE)
async def wait(payload: Gate) -> str:
    """Wait, as coroutines should."""
    (payload.folder / "started").touch()
    try:
        while not (payload.folder / "end").exists():  # noqa: ASYNC110 - a file tells it
            await asyncio.sleep(0.01)
    finally:
        (payload.folder / "cleaned").touch()
    with (payload.folder / "effects").open("a") as file:
        file.write(f"{os.getpid()}\n")
    return "waited"


def _stop_loop() -> None:
    asyncio.get_running_loop().stop()


async def _of_child_task() -> None:
    async def leave() -> None:
        sys.exit(4)

    await asyncio.create_task(leave())


async def _of_callback() -> None:
    asyncio.get_running_loop().call_soon(sys.exit, 4)
    await asyncio.sleep(0.1)
    raise RuntimeError("still here")


def _raise(error: BaseException) -> None:
    raise error


#: What one coroutine does to all.
LEAVING: Final[dict[str, Callable[[], Any]]] = {
    "exit": lambda: sys.exit(4),
    "keyboard interrupt": lambda: _raise(KeyboardInterrupt()),
    "generator exit": lambda: _raise(GeneratorExit()),
    "cancelled": lambda: _raise(asyncio.CancelledError()),
    "stop": _stop_loop,
    "task": _of_child_task,
    "callback": _of_callback,
    "threads": lambda: asyncio.get_running_loop().shutdown_default_executor(),
}


@job("hostile.leave", queue=QUEUE)
async def leave(payload: str) -> None:
    done = LEAVING[payload]()
    if done is not None:
        await done


@job("hostile.cancel_all", queue=QUEUE)
async def cancel_all(payload: None) -> None:
    for task in asyncio.all_tasks():
        task.cancel()
    await asyncio.sleep(60)


@job("hostile.block", queue=QUEUE)
async def block(payload: Path) -> None:
    """Sit in one C call, in the event loop, until somebody opens the other end of a pipe with a name."""
    os.close(os.open(payload, os.O_RDONLY))


def _change_directory() -> None:
    os.chdir(folder := tempfile.mkdtemp())
    os.rmdir(folder)  # noqa: PTH106


def _detach_output() -> None:
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.detach()


#: Changes of what the process has only once, and what is read afterwards.
CHANGES: Final[dict[str, tuple[Callable[[], object], Callable[[], Any]]]] = {
    "working directory": (_change_directory, os.getcwd),
    "umask": (lambda: os.umask(0o007), lambda: oct(os.umask(0o022))),
    "os.environ": (lambda: os.environ.update(HOSTILE="yes"), lambda: os.environ.get("HOSTILE")),
    "locale": (lambda: locale.setlocale(locale.LC_ALL, "C"), lambda: locale.setlocale(locale.LC_ALL)),
    "sys.path": (sys.path.clear, lambda: len(sys.path) > 1),
    "recursion limit": (lambda: sys.setrecursionlimit(400), sys.getrecursionlimit),
    "switch interval": (lambda: sys.setswitchinterval(0.1), sys.getswitchinterval),
    "default timeout of sockets": (lambda: socket.setdefaulttimeout(0.001), socket.getdefaulttimeout),
    "logging": (lambda: logging.disable(logging.CRITICAL), lambda: logging.root.manager.disable),
    "warnings filters": (lambda: warnings.simplefilter("error"), lambda: len(warnings.filters)),
    "blocked signals": (
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2}),
        lambda: signal.SIGUSR2 in signal.pthread_sigmask(signal.SIG_BLOCK, ()),
    ),
    "context variable": (lambda: tenant.set("ada"), tenant.get),
}

#: The same, where a handler has a process and its main thread for itself.
CHANGES_OF_PROCESSES: Final[dict[str, tuple[Callable[[], object], Callable[[], Any]]]] = {
    **CHANGES,
    "signal handlers": (
        lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
        lambda: signal.getsignal(signal.SIGTERM) is signal.SIG_DFL,
    ),
    "timer": (lambda: signal.alarm(60), lambda: signal.alarm(0)),
    "priority": (lambda: os.nice(1), lambda: os.nice(0)),
    # The stream that there is then, not the one that there is now.
    "sys.stdout": (lambda: sys.stdout.close(), lambda: sys.stdout.write("here\n")),  # noqa: PLW0108
    "sys.stderr": (lambda: sys.stderr.close(), lambda: sys.stderr.write("here\n")),  # noqa: PLW0108
    "buffer of sys.stdout": (_detach_output, lambda: sys.stdout.write("here\n")),
    "sys.stdin": (lambda: setattr(sys, "stdin", None), lambda: sys.stdin is None),
    "descriptors": (
        lambda: os.closerange(0, 3),
        lambda: [bool(os.fstat(descriptor)) for descriptor in range(3)],
    ),
    "random numbers": (lambda: random.seed(7), lambda: random.random() == random.Random(7).random()),
}


class Change(BaseModel):
    what: str
    change: bool


def _change_or_read(payload: Change) -> str:
    change, read = CHANGES_OF_PROCESSES[payload.what]
    if payload.change:
        change()
        return "changed"
    return repr(read())


@job("hostile.state", queue=QUEUE)
def state(payload: Change) -> str:
    """Change something, or read it."""
    return _change_or_read(payload)


@job("hostile.state_isolated", queue=QUEUE, isolation="process")
def state_isolated(payload: Change) -> str:
    return _change_or_read(payload)


class Fork(BaseModel):
    ledger: Path
    child: str
    """What the child does: returns, raises, exits, checkpoints or attaches."""


@contextmanager
def _forked(payload: Fork, run: Run) -> Iterator[bool]:
    """Yield whether this is the child; the parent then waits for it."""
    child = os.fork()
    if child == 0:
        with payload.ledger.open("a") as file:
            file.write(f"{os.getpid()}\n")
        match payload.child:
            case "raises":
                raise RuntimeError("of the copy")
            case "exits":
                sys.exit(3)
            case "checkpoints":
                run.checkpoint("of the copy")
            case "attaches":
                run.attach(b"of the copy")
        yield True
        return
    yield False
    _, status = os.waitpid(child, 0)
    with payload.ledger.open("a") as file:
        file.write(f"{os.waitstatus_to_exitcode(status)}\n")


def _fork(payload: Fork, run: Run) -> str:
    with _forked(payload, run) as is_child:
        if is_child:
            return "child"
    return "parent"


@job("hostile.fork", queue=QUEUE, max_retries=0)
def fork(payload: Fork, run: Run) -> str:
    return _fork(payload, run)


@job("hostile.fork_isolated", queue=QUEUE, max_retries=0, isolation="process")
def fork_isolated(payload: Fork, run: Run) -> str:
    return _fork(payload, run)


@job("hostile.fork_async", queue=QUEUE, max_retries=0)
async def fork_async(payload: Fork, run: Run) -> str:
    return _fork(payload, run)


@job("hostile.spin", queue=QUEUE)
def spin(payload: float) -> None:
    """Keep the interpreter for so many seconds."""
    until = time.monotonic() + payload
    while time.monotonic() < until:
        sum(range(10_000))
