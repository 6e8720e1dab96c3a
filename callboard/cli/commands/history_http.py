"""``callboard history summary``, ``failures`` and ``export``: the numbers that the API gives."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Final, Literal, Self
from uuid import UUID

import typer

from callboard.cli.display.charts import Bars
from callboard.cli.display.formats import age, duration, moment, size
from callboard.cli.display.tables import Rows
from callboard.cli.display.terminal import narration, output, print_json, safe
from callboard.cli.options import AsJson, connect

if TYPE_CHECKING:
    from callboard.client import Durations, ExportOptions, FailureGroup, HistorySummary, PeriodSummary

Hours = Annotated[float, typer.Option(min=0.02, max=87_600, help="Hours up to now.")]
JobType = Annotated[str | None, typer.Option("--type", help="Only jobs of this type.")]
Owner = Annotated[str | None, typer.Option(help="Only this owner's jobs (operators).")]

#: From more hours on, a bar is a day.
_MOST_HOUR_BARS: Final = 24 * 14


class GroupBy(StrEnum):
    """What the rows of a summary stand for."""

    TYPE = "type"
    QUEUE = "queue"
    OWNER = "owner"
    STATUS = "status"


class Format(StrEnum):
    """The format of an export."""

    NDJSON = "ndjson"
    CSV = "csv"
    PARQUET = "parquet"


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    for command in (summary, failures, export):
        app.command()(command)


def summary(
    hours: Hours = 24.0,
    group_by: Annotated[GroupBy, typer.Option(help="What a row of the table is.")] = GroupBy.TYPE,
    owner: Owner = None,
    as_json: AsJson = False,
) -> None:
    """Count and measure finished jobs: a bar for each hour, a row for each type."""
    since = _since(hours)
    unit = timedelta(hours=1) if hours <= _MOST_HOUR_BARS else timedelta(days=1)
    with connect() as client:
        groups = client.summarise_history(since=since, owner=owner, group_by=group_by.value)
        if as_json:
            print_json(groups)
            return
        bucket = "hour" if unit == timedelta(hours=1) else "day"
        bars = client.summarise_history(since=since, owner=owner, bucket=bucket)
    if not groups.items:
        narration().print("No job finished in this time.")
        return
    output().print(_bars(bars, unit))
    output().print(Rows([_summary(item, group_by) for item in sorted(groups.items, key=lambda item: -item.jobs)]))


def failures(hours: Hours = 24.0, job_type: JobType = None, owner: Owner = None, as_json: AsJson = False) -> None:
    """Show what failed, by type and error, the most frequent first."""
    with connect() as client:
        found = client.failures(since=_since(hours), type=job_type, owner=owner)
    if as_json:
        print_json(found)
    elif found.items:
        output().print(Rows([_failure(item) for item in found.items]))
        if not found.complete:
            narration().print("There were more failures than are counted; these are the latest.")
    else:
        narration().print("No job failed in this time.")


def export(
    hours: Hours = 24.0,
    file_format: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.NDJSON,
    to: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; with --after, to add to. Default: stdout.")
    ] = None,
    after: Annotated[
        UUID | None, typer.Option(help="Go on after the job with this id, where an export broke off.")
    ] = None,
    job_type: JobType = None,
    owner: Owner = None,
) -> None:
    """Write finished jobs that were submitted in this time, however many."""
    options: ExportOptions = {
        "format": file_format.value,
        "created_after": _since(hours),
        "type": job_type,
        "owner": owner,
        "cursor": after,
    }
    with connect() as client:
        if to is None:
            client.export_history(sys.stdout.buffer, **options)
            sys.stdout.flush()
        else:
            with _Output(to, "wb" if after is None else "ab") as file:
                client.export_history(file, **options)
                # An export without jobs makes a file, too.
                file.write(b"")
            narration().print(safe(f"{size(file.written)} written to {to}."), soft_wrap=True)


class _Output:
    """A file that is opened when the first bytes arrive: a refused export leaves it as it was. A context manager."""

    def __init__(self, path: Path, mode: Literal["wb", "ab"]) -> None:
        self._path = path
        self._mode = mode
        self._file: IO[bytes] | None = None
        self.written = 0
        """Bytes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._writing():
            if self._file is not None:
                self._file.close()

    def write(self, chunk: bytes) -> None:
        with self._writing():
            if self._file is None:
                self._file = self._path.open(self._mode)
            self._file.write(chunk)
            self.written += len(chunk)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = f"{self._path} cannot be written: {error.strerror}."
            raise typer.BadParameter(reason, param_hint="'--output'") from error


def _since(hours: float) -> datetime:
    return datetime.now(UTC) - timedelta(hours=hours)


def _bars(summary: HistorySummary, unit: timedelta) -> Bars:
    jobs = {item.start: item.jobs for item in summary.items}
    values = [jobs.get(summary.since + unit * index, 0) for index in range((summary.until - summary.since) // unit)]
    title = "jobs finished by hour" if unit == timedelta(hours=1) else "jobs finished by day"
    return Bars(title, values, first=moment(summary.since), last=moment(summary.until))


def _summary(item: PeriodSummary, group_by: GroupBy) -> dict[str, Any]:
    return {
        group_by.value: item.group,
        "jobs": item.jobs,
        "failed": item.failed,
        "success": None if item.success_rate is None else f"{item.success_rate:.2%}",
        **_durations("wait", item.wait),
        **_durations("run", item.run),
    }


def _durations(name: str, measured: Durations | None) -> dict[str, str | None]:
    values = (None, None, None) if measured is None else (measured.p50, measured.p95, measured.max)
    texts = (None if value is None else duration(value) for value in values)
    return {f"{name}_{part}": text for part, text in zip(("p50", "p95", "max"), texts, strict=True)}


def _failure(item: FailureGroup) -> dict[str, Any]:
    return {
        "type": item.type,
        "jobs": item.jobs,
        "error": item.error.type or item.error.reason,
        "message": item.error.message,
        "first": f"{age(item.first_seen)} ago",
        "last": f"{age(item.last_seen)} ago",
        "example": None if item.example is None else str(item.example),
    }
