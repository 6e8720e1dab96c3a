"""The progress of a job, shown on stderr: a bar on a terminal, a line for each step elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

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

from callboard.cli.display.formats import moment
from callboard.cli.display.terminal import error_text, narration, safe

if TYPE_CHECKING:
    from callboard.client import Client, ClientError, Job, JobInList

STATUS_STYLES: Final = {
    "running": "cyan",
    "succeeded": "green",
    "failed": "red",
    "cancelled": "yellow",
    "expired": "magenta",
}
_MARKS: Final = {"succeeded": "✓", "failed": "✗", "cancelled": "✗", "expired": "✗"}
_NARROW: Final = 60
#: Off a terminal, progress within one step is a line each time that so many percent more are done.
_LINE_EVERY_PERCENT: Final = 10.0


def show_until_done(client: Client, job: Job, *, retry_for: float = 300.0) -> Job:
    """Show the job's progress until it is done, and return it as it is then.

    Args:
        client: for the server that has the job.
        job: as last seen.
        retry_for: seconds that one outage of the server may last. The view shows each outage once.

    Raises:
        ServerUnreachable: an outage lasted longer.
        Problem: an outage lasted longer, or the server refuses: the job was deleted, for example.
    """
    with _view(narration()) as view:
        for state in client.watch(job, retry_for=retry_for, on_outage=view.outage):
            view.show(state)
            job = state
    return job


def describe(job: JobInList) -> str:
    """Return what the job is doing now, in a few words."""
    match job.status:
        case "running" if job.cancel_requested_at is not None:
            return "stopping"
        case "running" if job.progress is not None:
            parts = (job.progress.step, job.progress.message)
            return " · ".join(dict.fromkeys(part for part in parts if part))
        case "scheduled" if job.scheduled_at is not None:
            return f"until {moment(job.scheduled_at)}"
        case "blocked" | "queued" if job.waiting_for is not None:
            return f"for a worker that knows {job.waiting_for.type}"
        case "retrying":
            message = job.error.message if job.error is not None else ""
            return f"after attempt {job.attempt}" + (f": {message}" if message else "")
    return ""


def percent(job: JobInList) -> float | None:
    """Return how much of the work is done, 0 to 100, or None if that is not known."""
    if job.status == "succeeded":
        return 100.0
    return None if job.progress is None else job.progress.percent


class _View(Protocol):
    def show(self, job: Job) -> None: ...

    def outage(self, error: ClientError) -> None: ...


@contextmanager
def _view(console: Console) -> Iterator[_View]:
    if console.is_terminal:
        with Bar(console) as bar:
            yield bar
    else:
        yield Lines(console)


class Bar:
    """A progress bar on one line. A context manager, which leaves the last state on the screen."""

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

    def show(self, job: Job) -> None:
        done = percent(job)
        # A bar without a total pulses, which would be wrong once the job is done.
        total = 100.0 if done is not None or job.done else None
        shown: dict[str, Any] = {
            "total": total,
            "completed": done or 0.0,
            "status": job.status,
            "percent": "" if done is None else f"{done:.0f}%",
            "doing": describe(job),
        }
        if self._task is None:
            self._task = self._progress.add_task("", **shown)
        else:
            self._progress.update(self._task, **shown)
        if job.done:
            self._progress.stop_task(self._task)

    def outage(self, error: ClientError) -> None:
        self._console.print(_waiting_for_server(error))


class Lines:
    """A line for each status, each step, and every ten percent in between."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: tuple[str, str | None, float] | None = None

    def show(self, job: Job) -> None:
        done = percent(job)
        step = job.progress.step if job.status == "running" and job.progress is not None else None
        now = (job.status, step, (done or 0.0) // _LINE_EVERY_PERCENT)
        if now != self._last:
            self._last = now
            parts = (job.status, "" if done is None else f"{done:.0f}%", describe(job))
            self._console.print(safe(" ".join(part for part in parts if part)), soft_wrap=True)

    def outage(self, error: ClientError) -> None:
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


def _waiting_for_server(error: ClientError) -> Text:
    return safe(f"{error_text(error)}\nTrying again. The job goes on meanwhile.", "yellow")
