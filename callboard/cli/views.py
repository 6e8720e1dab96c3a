"""Jobs as lists, one by one, and with their attempts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Console, ConsoleOptions, ConsoleRenderable, Group, RenderResult
from rich.table import Table
from rich.text import Text

from callboard.cli.client import Json
from callboard.cli.formats import age, duration, moment, seconds_between
from callboard.cli.progress import STATUS_STYLES, describe, percent
from callboard.cli.results import heading, render
from callboard.cli.tables import fields
from callboard.cli.terminal import safe

# What a row of a list holds, by the columns that the terminal has.
_TABLE_WIDTH: Final = 80
_WITH_TIMES_WIDTH: Final = 120
_WITH_OWNER_WIDTH: Final = 160
_NAMES: Final = frozenset({"type", "queue", "owner"})


class JobList:
    """Jobs below each other: a table, or on a narrow terminal two lines each."""

    def __init__(self, jobs: Sequence[Json]) -> None:
        self._jobs = jobs

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        if width < _TABLE_WIDTH:
            for job in self._jobs:
                yield Text(job["id"])
                yield Text("  ") + safe(job["type"]) + " · " + status(job) + f" · {age(job['created_at'])}"
            return
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
        for name in ("id", "type", "status", "age", *self._more(width)):
            # Where a table is too wide, rich makes columns narrower that may wrap: names are cut, ids never.
            table.add_column(name, no_wrap=name not in _NAMES)
        for job in self._jobs:
            cells: dict[str, Text | str] = {
                "attempt": str(job["attempt"]),
                "took": took(job),
                "queue": _cut(job["queue"]),
                "owner": _cut(job["owner"]),
            }
            more = (cells[name] for name in self._more(width))
            table.add_row(job["id"], _cut(job["type"]), status(job), age(job["created_at"]), *more)
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


def status(job: Json) -> Text:
    """Return the status in its colour, of a running job with the progress."""
    done = percent(job) if job["status"] == "running" else None
    return Text(job["status"] + ("" if done is None else f" {done:.0f}%"), style=STATUS_STYLES.get(job["status"], ""))


def took(job: Json) -> str:
    """Return how long the last attempt ran, empty if none has ended."""
    if job.get("started_at") is None or job.get("finished_at") is None:
        return ""
    return duration(seconds_between(job["started_at"], job["finished_at"]))


def details(job: Json, attempts: Sequence[Json]) -> ConsoleRenderable:
    """Return all there is to say about a job."""
    parts: list[ConsoleRenderable] = [safe(job["id"], "bold"), fields(_facts(job))]
    if attempts:
        parts += [heading("attempts"), render([_attempt(attempt) for attempt in attempts])]
    if job.get("payload") is not None:
        parts += [heading("payload"), safe(json.dumps(job["payload"], indent=2, ensure_ascii=False))]
    if job["status"] == "succeeded":
        parts += [heading("result"), render(job["result"])]
    return Group(*parts)


def outcome(job: Json) -> ConsoleRenderable:
    """Return what a finished job came to: its result, or why there is none."""
    if job["status"] == "succeeded":
        return render(job["result"])
    error = job.get("error")
    return Text(job["status"], style=STATUS_STYLES[job["status"]]) + (Text(": ") + _error(error) if error else "")


def _facts(job: Json) -> Iterator[tuple[str, Text | str]]:
    yield "type", safe(job["type"])
    yield "status", status(job)
    if describe(job):
        yield "doing", safe(describe(job))
    if job.get("error"):
        yield "error", _error(job["error"])
    yield "queue", safe(job["queue"])
    yield "priority", str(job["priority"])
    yield "owner", safe(job["owner"])
    if job.get("tags"):
        yield "tags", safe(", ".join(f"{key}={value}" for key, value in job["tags"].items()))
    yield "attempt", str(job["attempt"])
    yield "max retries", str(job["max_retries"])
    yield "time limit", duration(job["time_limit"])
    for name, key in _TIMES:
        if job.get(key) is not None:
            yield name, moment(job[key])
    if took(job):
        yield "took", took(job)
    for name in ("worker", "parent_id"):
        if job.get(name) is not None:
            yield name, safe(job[name])


_TIMES: Final = (
    ("created", "created_at"),
    ("scheduled", "scheduled_at"),
    ("next attempt", "next_attempt_at"),
    ("expires", "expires_at"),
    ("cancel asked", "cancel_requested_at"),
    ("started", "started_at"),
    ("finished", "finished_at"),
)


def _error(error: Mapping[str, Any]) -> Text:
    kind = error.get("type") or error["reason"]
    text = safe(kind, "red") + (safe(f": {error['message']}") if error.get("message") else "")
    return text + Text(f" ({error['reason']})" if kind != error["reason"] else "", style="dim")


def _attempt(attempt: Json) -> Json:
    return {
        "attempt": attempt["attempt"],
        "outcome": attempt["outcome"],
        "took": took(attempt),
        "worker": attempt.get("worker"),
        "error": str(_error(attempt["error"])) if attempt.get("error") else None,
    }


def system_table(items: Sequence[Json]) -> ConsoleRenderable:
    """Return queues or workers as a table; times become ages, as that is what an operator compares."""
    return render([{_aged_name(name): _aged(name, value) for name, value in item.items()} for item in items])


def _aged_name(name: str) -> str:
    return name.removesuffix("_at")


def _aged(name: str, value: Any) -> Any:
    return f"{age(value)} ago" if name.endswith("_at") and isinstance(value, str) else value
