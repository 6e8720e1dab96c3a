"""``callboard rollups rebuild``: count the history anew, while the system runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from callboard.cli.database import current_database, database_settings
from callboard.cli.display.terminal import narration

app = typer.Typer(help="Keep the numbers about finished jobs.", no_args_is_help=True)

_FORMATS: Final = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]


@app.callback()
def _group() -> None:
    """Make ``rebuild`` a subcommand. Typer would merge the only command of a group into the group."""


@app.command()
def rebuild(
    since: Annotated[
        datetime | None,
        typer.Option("--from", formats=_FORMATS, help="First time to count, in UTC. Default: the oldest there is."),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", formats=_FORMATS, help="Last time to count, in UTC. Default: now.")
    ] = None,
) -> None:
    """Count the finished jobs of a time anew, hour by hour, the latest first.

    Hours of which retention has dropped some history keep their numbers. Cut off, it goes on by itself where a
    dispatcher runs.
    """
    from callboard.db.history.rollups import count_anew, first_hour
    from callboard.db.history.rollups.counting import count_pending

    with current_database(database_settings(), role="rollups") as database:
        with database.begin() as connection:
            end = datetime.now(UTC) if until is None else _in_utc(until)
            start = first_hour(connection) if since is None else _in_utc(since)
            if start is not None and start > end:
                raise typer.BadParameter("must not be after --to", param_hint="'--from'")
            if start is not None:
                count_anew(connection, start, end)
        hours = 0 if start is None else count_pending(database)
    narration().print(f"{hours:,} hours counted.")


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
