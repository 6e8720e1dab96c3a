"""A job on its way, shown on stderr: a bar on a terminal, a line for each step elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column
from rich.text import Text

from callboard.cli.client import Client, Json, Seen
from callboard.cli.follow import follow
from callboard.cli.formats import moment
from callboard.cli.terminal import narration, safe
from callboard.db.errors import CallboardError

STATUS_STYLES: Final = {
    "running": "cyan",
    "succeeded": "green",
    "failed": "red",
    "cancelled": "yellow",
    "expired": "magenta",
}
_MARKS: Final = {"succeeded": "✓", "failed": "✗", "cancelled": "✗", "expired": "✗"}
_NARROW: Final = 60
#: Off a terminal, progress within one step is worth a line each time it has gone so many percent further.
_LINE_EVERY_PERCENT: Final = 10.0


def show_until_done(client: Client, seen: Seen, *, patience: float = 300.0) -> Json:
    """Show the job's progress until it is done, and return it as it is then.

    An outage of the server is shown and waited out, for ``patience`` seconds at most (see
    :func:`follow`, also for what is raised).
    """
    job = seen.job
    with _view(narration()) as view:
        for job in follow(client, seen, on_trouble=view.trouble, patience=patience):
            view.show(job)
    return job


def describe(job: Json) -> str:
    """Return what the job is doing now, in a few words."""
    progress = job.get("progress") or {}
    if job["status"] == "running":
        if job.get("cancel_requested_at"):
            return "stopping"
        return " · ".join(dict.fromkeys(part for part in (progress.get("step"), progress.get("message")) if part))
    if job["status"] == "scheduled" and job.get("scheduled_at"):
        return f"until {moment(job['scheduled_at'])}"
    if job["status"] == "retrying":
        message = (job.get("error") or {}).get("message")
        return f"after attempt {job['attempt']}" + (f": {message}" if message else "")
    return ""


def percent(job: Json) -> float | None:
    """Return how much of the work is done, 0 to 100, or None where that is not known."""
    if job["status"] == "succeeded":
        return 100.0
    value = (job.get("progress") or {}).get("percent")
    return None if value is None else float(value)


class _View(Protocol):
    def show(self, job: Json) -> None: ...

    def trouble(self, error: CallboardError) -> None: ...


@contextmanager
def _view(console: Console) -> Iterator[_View]:
    if console.is_terminal:
        with Bar(console) as bar:
            yield bar
    else:
        yield Lines(console)


class Bar:
    """One line that moves. A context manager; it stays on the screen as it was last."""

    def __init__(self, console: Console) -> None:
        self._console = console
        wide = console.width >= _NARROW
        self._progress = Progress(
            _MarkColumn(),
            _StatusColumn(),
            BarColumn(bar_width=24 if wide else 10),
            TextColumn("{task.fields[percent]}", justify="right", table_column=Column(min_width=4)),
            *([_DoingColumn(), TimeElapsedColumn()] if wide else []),
            console=console,
            expand=wide,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, job: Json) -> None:
        done = percent(job)
        # A bar without a total pulses, which is right while work is under way or ahead, and wrong after it.
        total = 100.0 if done is not None or job["done"] else None
        shown = {
            "total": total,
            "completed": done or 0.0,
            "status": job["status"],
            "percent": "" if done is None else f"{done:.0f}%",
            "doing": describe(job),
        }
        if self._task is None:
            self._task = self._progress.add_task("", **shown)
        else:
            self._progress.update(self._task, **shown)
        if job["done"]:
            self._progress.stop_task(self._task)

    def trouble(self, error: CallboardError) -> None:
        self._console.print(_waiting_for_server(error))


class Lines:
    """A line for each status, each step, and every ten percent in between."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: tuple[str, str | None, float] | None = None

    def show(self, job: Json) -> None:
        done = percent(job)
        step = (job.get("progress") or {}).get("step") if job["status"] == "running" else None
        now = (job["status"], step, (done or 0.0) // _LINE_EVERY_PERCENT)
        if now != self._last:
            self._last = now
            parts = (job["status"], "" if done is None else f"{done:.0f}%", describe(job))
            self._console.print(safe(" ".join(part for part in parts if part)), soft_wrap=True)

    def trouble(self, error: CallboardError) -> None:
        self._console.print(_waiting_for_server(error), soft_wrap=True)


class _MarkColumn(SpinnerColumn):
    def render(self, task: Task) -> RenderableType:
        status = task.fields["status"]
        mark = _MARKS.get(status)
        return super().render(task) if mark is None else Text(mark, style=STATUS_STYLES[status])


class _StatusColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        status = task.fields["status"]
        return Text(status, style=STATUS_STYLES.get(status, ""))


class _DoingColumn(ProgressColumn):
    def __init__(self) -> None:
        super().__init__(Column(ratio=1, no_wrap=True, overflow="ellipsis"))

    def render(self, task: Task) -> Text:
        return safe(task.fields["doing"].replace("\n", " "))


def _waiting_for_server(error: CallboardError) -> Text:
    return safe(f"{error}\nTrying again. The job goes on meanwhile.", "yellow")
