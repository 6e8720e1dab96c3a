"""Handlers that do what handlers should not. Every attempt that gets so far is in the ledger."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NoReturn

from dramatiq.errors import Retry
from pydantic import model_validator

from callboard import Run, job
from tests.faults import hostile
from tests.faults.jobs import QUEUE, Work, take_effect, written_down

_LONG: Final = 12.0
_MEMORY_LIMIT: Final = 256 * 2**20


class Hostile(Work):
    how: str

    @model_validator(mode="after")
    def _readable(self) -> Hostile:
        # The api, which has read it as well, does not load what runs handlers.
        if self.how == "cannot read its payload" and "callboard.actors.execution.handler" in sys.modules:
            raise KeyError(self.how)
        return self


class _Textless(Exception):
    def __str__(self) -> NoReturn:
        raise RuntimeError("no text")


class _Undecided(Exception):
    def __bool__(self) -> NoReturn:
        raise RuntimeError("neither true nor false")


def _raise(error: BaseException) -> NoReturn:
    raise error


def _change_directory() -> None:
    os.chdir(folder := tempfile.mkdtemp())
    os.rmdir(folder)  # noqa: PTH106


def _change_environment() -> None:
    os.environ.clear()
    os.umask(0o777)


def _close_output() -> None:
    sys.stdout.close()
    sys.stderr.close()


def _close_everything() -> None:
    os.closerange(3, 4096)
    time.sleep(_LONG)


def _fork(child: str) -> bool:
    """Return whether this is a copy that is to return."""
    pid = os.fork()
    if pid == 0:
        match child:
            case "raises":
                raise RuntimeError("of the copy")
            case "exits":
                sys.exit(3)
            case "lives":
                time.sleep(600)
        return True
    if child != "lives":
        os.waitpid(pid, 0)
    return False


def _catch_everything() -> None:
    until = time.monotonic() + _LONG
    while time.monotonic() < until:
        with suppress(BaseException):
            while time.monotonic() < until:
                time.sleep(0.01)


def _eat() -> None:
    held = [b"x" * 2**20 for _ in range(2 * _MEMORY_LIMIT // 2**20)]
    time.sleep(_LONG)
    del held


#: What returns something else than None returns the handler's result, or a coroutine that does.
DEEDS: Final[dict[str, Callable[[Run], Any]]] = {
    "raises what has no text": lambda _: _raise(_Textless()),
    "raises what is neither true nor false": lambda _: _raise(_Undecided()),
    "raises SystemExit": lambda _: sys.exit(4),
    "raises KeyboardInterrupt": lambda _: _raise(KeyboardInterrupt()),
    "raises GeneratorExit": lambda _: _raise(GeneratorExit()),
    "asks for a retry in text": lambda _: _raise(Retry(delay="5")),  # type: ignore[arg-type]
    "asks for a retry at the end of time": lambda _: _raise(Retry(delay=10**30)),
    "cannot decide whether to retry": lambda _: _raise(ValueError("retry_when is asked")),
    "cannot read its payload": lambda _: None,
    "returns half a character": lambda _: "\ud800",
    "returns a NUL character": lambda _: "\0",
    "returns what has no JSON form": lambda _: object(),
    "returns no number": lambda _: float("nan"),
    "logs under a reserved name": lambda run: run.log("a line", event="another"),
    "changes the directory": lambda _: _change_directory(),
    "changes environment and umask": lambda _: _change_environment(),
    "closes its output": lambda _: _close_output(),
    "closes the standard descriptors": lambda _: os.closerange(0, 3),
    "forks, and the copy returns": lambda _: _fork("returns") or None,
    "forks, and the copy raises": lambda _: _fork("raises") or None,
    "forks, and the copy exits": lambda _: _fork("exits") or None,
    "forks, and the copy lives": lambda _: _fork("lives") or None,
    "stops the event loop": lambda _: asyncio.get_running_loop().stop(),
    "exits in a task": lambda _: _exit_in_task(),
    "cancels every task": lambda _: _cancel_all(),
    "closes every descriptor": lambda _: _close_everything(),
    "ends the process": lambda _: os._exit(9),
    "hangs": lambda _: time.sleep(_LONG),
    "catches every exception": lambda _: _catch_everything(),
    "eats memory": lambda _: _eat(),
    "eats memory for a moment": lambda _: len(b"x" * (2 * _MEMORY_LIMIT)) and None,
}


async def _exit_in_task() -> None:
    async def leave() -> None:
        sys.exit(4)

    await asyncio.create_task(leave())


async def _cancel_all() -> None:
    for task in asyncio.all_tasks():
        task.cancel()
    await asyncio.sleep(_LONG)


def _act(work: Hostile, run: Run) -> Any:
    with written_down(work, run):
        done = DEEDS[work.how](run)
        return take_effect(work, run) if done is None else done


@job(hostile.THREAD, queue=QUEUE, max_retries=1, min_backoff=0.2, max_backoff=1)
def in_thread(payload: Hostile, run: Run) -> Any:
    return _act(payload, run)


@job(hostile.COROUTINE, queue=QUEUE, max_retries=1, min_backoff=0.2, max_backoff=1)
async def in_coroutine(payload: Hostile, run: Run) -> Any:
    with written_down(payload, run):
        done = DEEDS[payload.how](run)
        if asyncio.iscoroutine(done):
            done = await done
        return take_effect(payload, run) if done is None else done


@job(hostile.PROCESS, queue=QUEUE, max_retries=1, min_backoff=0.2, max_backoff=1, isolation="process",
     memory_limit=_MEMORY_LIMIT)  # fmt: skip
def in_process(payload: Hostile, run: Run) -> Any:
    return _act(payload, run)


def _cannot_decide(retries: int, error: BaseException) -> NoReturn:
    raise RuntimeError(f"after {retries} retries of {type(error).__name__}")


@job(hostile.DECIDING, queue=QUEUE, max_retries=1, min_backoff=0.2, max_backoff=1, retry_when=_cannot_decide)
def deciding(payload: Hostile, run: Run) -> Any:
    return _act(payload, run)
