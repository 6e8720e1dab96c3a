"""``callboard history summary``, ``failures`` and ``export``: the numbers that the API gives."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import typer

from callboard.cli.charts import Bars
from callboard.cli.formats import age, duration, moment
from callboard.cli.options import AsJson, connect
from callboard.cli.tables import Rows
from callboard.cli.terminal import narration, output, print_json

Hours = Annotated[float, typer.Option(min=0.02, max=87_600, help="Hours up to now.")]
JobType = Annotated[str | None, typer.Option("--type", help="Only jobs of this type.")]
Owner = Annotated[str | None, typer.Option(help="Only this owner's jobs (operators).")]

#: Beyond so many hours, bars are days.
_MOST_HOUR_BARS: Final = 24 * 14


class GroupBy(StrEnum):
    """What jobs are told apart by."""

    TYPE = "type"
    QUEUE = "queue"
    OWNER = "owner"
    STATUS = "status"


class Format(StrEnum):
    """What an export is written as."""

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
    period = {**_since(hours), **_given(owner=owner)}
    with connect() as client:
        groups = client.history_summary({**period, "group_by": group_by.value})
        if as_json:
            print_json(groups)
            return
        unit = timedelta(hours=1) if hours <= _MOST_HOUR_BARS else timedelta(days=1)
        bars = client.history_summary({**period, "bucket": "hour" if unit == timedelta(hours=1) else "day"})
    if not groups["items"]:
        narration().print("No job finished in this time.")
        return
    output().print(_bars(bars, unit))
    output().print(Rows([_summary(item, group_by) for item in sorted(groups["items"], key=lambda item: -item["jobs"])]))


def failures(hours: Hours = 24.0, job_type: JobType = None, owner: Owner = None, as_json: AsJson = False) -> None:
    """Show what failed, by type and error, the most frequent first."""
    with connect() as client:
        found = client.history_failures({**_since(hours), **_given(type=job_type, owner=owner)})
    if as_json:
        print_json(found)
    elif found["items"]:
        output().print(Rows([_failure(item) for item in found["items"]]))
        if not found["complete"]:
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
    params = {
        "created_after": _since(hours)["from"],
        "format": file_format.value,
        **_given(type=job_type, owner=owner, cursor=None if after is None else str(after)),
    }
    with connect() as client, client.history_export(params) as pieces:
        if to is None:
            for piece in pieces:
                sys.stdout.buffer.write(piece)
            sys.stdout.flush()
            return
        with to.open("wb" if after is None else "ab") as file:
            for piece in pieces:
                file.write(piece)


def _since(hours: float) -> dict[str, str]:
    return {"from": (datetime.now(UTC) - timedelta(hours=hours)).isoformat()}


def _given(**params: str | None) -> dict[str, str]:
    return {name: value for name, value in params.items() if value is not None}


def _bars(answer: dict[str, Any], unit: timedelta) -> Bars:
    since, until = (datetime.fromisoformat(answer[name]) for name in ("from", "to"))
    jobs = {datetime.fromisoformat(item["start"]): item["jobs"] for item in answer["items"]}
    values = [jobs.get(since + unit * index, 0) for index in range((until - since) // unit)]
    title = "jobs finished by hour" if unit == timedelta(hours=1) else "jobs finished by day"
    return Bars(title, values, first=moment(answer["from"]), last=moment(answer["to"]))


def _summary(item: dict[str, Any], group_by: GroupBy) -> dict[str, Any]:
    rate = item["success_rate"]
    return {
        group_by.value: item["group"],
        "jobs": item["jobs"],
        "failed": item["failed"],
        "success": None if rate is None else f"{rate:.2%}",
        **{f"{what}_{name}": _seconds(item[what], name) for what in ("wait", "run") for name in ("p50", "p95", "max")},
    }


def _seconds(measured: dict[str, Any] | None, name: str) -> str | None:
    return None if measured is None else duration(measured[name])


def _failure(item: dict[str, Any]) -> dict[str, Any]:
    error = item["error"]
    return {
        "type": item["type"],
        "jobs": item["jobs"],
        "error": error["type"] or error["reason"],
        "message": error["message"],
        "first": f"{age(item['first_seen'])} ago",
        "last": f"{age(item['last_seen'])} ago",
        "example": item["example"],
    }
