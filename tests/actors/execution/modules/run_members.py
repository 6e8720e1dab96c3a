"""Every public member of :class:`Run`, used by the same handler in a thread and in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

from pydantic import BaseModel

from callboard import Run, job

QUEUE = "isolated"


class Use(BaseModel):
    """The member to use."""

    member: str
    file: UUID


def checkpoint(run: Run, _: UUID) -> Any:
    run.checkpoint({"at": 1})
    return run.restored


#: By name of the member: what uses it, and the result of that in any job and attempt.
USES: Final[dict[str, tuple[Callable[[Run, UUID], Any], Any]]] = {
    "attach": (lambda run, _: isinstance(run.attach(iter([b"a", b"b"]), name="a.txt"), UUID), True),
    "attempt": (lambda run, _: run.attempt, 1),
    "check": (lambda run, _: run.check(), None),
    "checkpoint": (checkpoint, None),
    "deadline": (lambda run, _: isinstance(run.deadline, datetime), True),
    "file": (lambda run, file: run.file(file).read_text(), "content"),
    "job_id": (lambda run, _: isinstance(run.job_id, UUID), True),
    "log": (lambda run, _: run.log("a line", number=1), None),
    "once": (lambda run, _: [run.once("key", lambda: "first"), run.once("key", lambda: "second")], ["first", "first"]),
    "progress": (lambda run, _: run.progress(1, 2, "half", step="only"), None),
    "restored": (lambda run, _: run.restored, None),
    "token": (lambda run, _: run.token("key") == uuid5(run.job_id, "key"), True),
}


@job("run.thread", queue=QUEUE)
def in_thread(payload: Use, run: Run) -> Any:
    return USES[payload.member][0](run, payload.file)


@job("run.process", queue=QUEUE, isolation="process")
def in_process(payload: Use, run: Run) -> Any:
    return USES[payload.member][0](run, payload.file)
