"""Lists of jobs, single jobs with their attempts, and the tables of queues and workers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import to_jsonable_python
from rich.console import Console, ConsoleOptions, ConsoleRenderable, Group, RenderResult
from rich.table import Table
from rich.text import Text

from callboard.cli.display.formats import age, duration, moment, seconds_between
from callboard.cli.display.progress import STATUS_STYLES, describe, percent
from callboard.cli.display.results import heading, render
from callboard.cli.display.tables import fields
from callboard.cli.display.terminal import safe

if TYPE_CHECKING:
    from callboard.client import Attempt, Job, JobError, JobInList, Queue, Worker

# What a row of a list holds, by the columns that the terminal has.
_TABLE_WIDTH: Final = 80
_WITH_TIMES_WIDTH: Final = 120
_WITH_OWNER_WIDTH: Final = 160
_NAMES: Final = frozenset({"type", "queue", "owner"})


class JobList:
    """Jobs below each other: a table, or on a narrow terminal two lines each."""

    def __init__(self, jobs: Sequence[JobInList]) -> None:
        self._jobs = jobs

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        if width < _TABLE_WIDTH:
            for job in self._jobs:
                yield Text(str(job.id))
                yield Text("  ") + safe(job.type) + " · " + status(job) + f" · {age(job.created_at)}"
            return
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
        for name in ("id", "type", "status", "age", *self._more(width)):
            # Where a table is too wide, rich makes columns narrower that may wrap: names are cut, ids never.
            table.add_column(name, no_wrap=name not in _NAMES)
        for job in self._jobs:
            cells: dict[str, Text | str] = {
                "attempt": str(job.attempt),
                "took": took(job),
                "queue": _cut(job.queue),
                "owner": _cut(job.owner),
            }
            more = (cells[name] for name in self._more(width))
            table.add_row(str(job.id), _cut(job.type), status(job), age(job.created_at), *more)
        yield table

    @staticmethod
    def _more(width: int) -> Sequence[str]:
        times = ("attempt", "took") if width >= _WITH_TIMES_WIDTH else ()
        return (*times, "queue", "owner") if width >= _WITH_OWNER_WIDTH else times


def _cut(name: str) -> Text:
    """Return a name that is cut off where it does not fit into its line."""
    text = safe(name)
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def status(job: JobInList) -> Text:
    """Return the status in its colour; for a running job, with its progress."""
    done = percent(job) if job.status == "running" else None
    return Text(job.status + ("" if done is None else f" {done:.0f}%"), style=STATUS_STYLES.get(job.status, ""))


def took(of: JobInList | Attempt) -> str:
    """Return how long an attempt, or the job's last one, ran; empty if it has not ended."""
    return (
        ""
        if of.started_at is None or of.finished_at is None
        else duration(seconds_between(of.started_at, of.finished_at))
    )


def details(job: Job, attempts: Sequence[Attempt]) -> ConsoleRenderable:
    """Return a job with its attempts, payload and result."""
    parts: list[ConsoleRenderable] = [safe(job.id, "bold"), fields(_facts(job))]
    if attempts:
        parts += [heading("attempts"), render([_attempt(attempt) for attempt in attempts])]
    if job.payload is not None:
        parts += [heading("payload"), safe(json.dumps(job.payload, indent=2, ensure_ascii=False))]
    if job.status == "succeeded":
        parts += [heading("result"), render(job.result)]
    return Group(*parts)


def outcome(job: Job) -> ConsoleRenderable:
    """Return the result of a finished job, or why it has none."""
    if job.status == "succeeded":
        return render(job.result)
    error = job.error
    return Text(job.status, style=STATUS_STYLES[job.status]) + (Text(": ") + _error(error) if error else "")


def _facts(job: Job) -> Iterator[tuple[str, Text | str]]:
    yield "type", safe(job.type)
    yield "status", status(job)
    if describe(job):
        yield "doing", safe(describe(job))
    if job.error:
        yield "error", _error(job.error)
    yield "queue", safe(job.queue)
    yield "priority", str(job.priority)
    yield "owner", safe(job.owner)
    if job.tags:
        yield "tags", safe(", ".join(f"{key}={value}" for key, value in job.tags.items()))
    yield "attempt", str(job.attempt)
    yield "max retries", str(job.max_retries)
    yield "time limit", duration(job.time_limit)
    for name, time in _times(job):
        if time is not None:
            yield name, moment(time)
    if took(job):
        yield "took", took(job)
    if job.waiting_for is not None:
        yield "waits for", safe(f"a worker that knows {job.waiting_for.type}, since {moment(job.waiting_for.since)}")
    if job.worker is not None:
        yield "worker", safe(job.worker)
    if job.parent_id is not None:
        yield "parent id", str(job.parent_id)


def _times(job: Job) -> Iterator[tuple[str, datetime | None]]:
    yield "created", job.created_at
    yield "scheduled", job.scheduled_at
    yield "next attempt", job.next_attempt_at
    yield "expires", job.expires_at
    yield "cancel asked", job.cancel_requested_at
    yield "started", job.started_at
    yield "finished", job.finished_at


def _error(error: JobError) -> Text:
    kind = error.type or error.reason
    text = safe(kind, "red") + (safe(f": {error.message}") if error.message else "")
    return text + Text(f" ({error.reason})" if kind != error.reason else "", style="dim")


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "attempt": attempt.attempt,
        "outcome": attempt.outcome,
        "took": took(attempt),
        "worker": attempt.worker,
        "error": None if attempt.error is None else str(_error(attempt.error)),
    }


def system_table(items: Sequence[Queue | Worker]) -> ConsoleRenderable:
    """Return queues or workers as a table. Times become ages, as that is what an operator compares."""
    return render([{name.removesuffix("_at"): _cell(name, value) for name, value in item} for item in items])


def _cell(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{age(value)} ago"
    plain = to_jsonable_python(value)
    match name:
        case "pid":
            # Names a process, counts nothing.
            return str(plain)
        case "limits":
            return {limit: setting for limit, setting in plain.items() if setting is not None}
    return plain
