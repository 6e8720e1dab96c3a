"""``callboard import-history``: finished jobs of an existing status table."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from callboard.cli.database import audit, current_database, database_settings, plain
from callboard.cli.display.terminal import narration, safe
from callboard.db.errors import ConfigurationError

if TYPE_CHECKING:  # other commands start quickly, so functions import what reads and stores
    from csv import DictReader

_SHOWN: Final = 20


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("import-history", rich_help_panel="Servers")(import_history)


def import_history(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="CSV with a header, in UTF-8; -: from stdin.", allow_dash=True)
    ] = None,
    query: Annotated[
        str | None, typer.Option(metavar="SQL", help="Instead of a file, a query of another PostgreSQL.")
    ] = None,
    from_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="CALLBOARD_IMPORT_URL",
            show_envvar=False,
            help="Where the query runs: a URL, or service=NAME, without a password. One with a password belongs in the "
            "variable CALLBOARD_IMPORT_URL; or have the password in ~/.pgpass, PGPASSWORD or the service file.",
        ),
    ] = None,
    columns: Annotated[
        list[str] | None, typer.Option("--map", metavar="OURS=THEIRS", help="Which column is which. Repeatable.")
    ] = None,
    constants: Annotated[
        list[str] | None, typer.Option("--set", metavar="OURS=VALUE", help="A value of all rows. Repeatable.")
    ] = None,
    statuses: Annotated[
        list[str] | None,
        typer.Option("--status", metavar="THEIRS=OURS", help="Which status is which; skip leaves out. Repeatable."),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Name of the table, a part of the ids. Default: the file's name.")
    ] = None,
    timezone: Annotated[str, typer.Option(help="Of times that do not say theirs.")] = "UTC",
    delimiter: Annotated[str, typer.Option(help="Between fields.")] = ",",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read all rows, store nothing.")] = False,
) -> None:
    """Import finished jobs from an existing status table. Run again, it imports what is new, and nothing twice.

    Columns: id, type, status, created_at, finished_at; if there are any, queue, owner, priority, scheduled_at,
    started_at, attempts, worker, payload, result, error_type, error.
    """
    from callboard.db.history.rollups.counting import count_pending
    from callboard.history_import import COLUMNS, Mapping, check_rows, import_rows, numbered

    reading = _reading(file, query, _address(context, from_url), delimiter=_one_character(delimiter))
    mapping = Mapping(
        source=plain(source or _stem(file), "--source"),
        columns=_pairs(columns, "--map", COLUMNS),
        constants=_pairs(constants, "--set", COLUMNS),
        statuses=_pairs(statuses, "--status"),
        zone=_zone(timezone),
    )
    with reading as lines:
        mapping.require_columns(lines.fieldnames or ())
        if dry_run:
            found, problems = check_rows(mapping, numbered(lines))
            for problem in problems[:_SHOWN]:
                narration().print(safe(problem))
            narration().print(
                f"{found.rows:,} rows: {found.stored:,} jobs, {found.skipped:,} to leave out, "
                f"{len(problems):,} that cannot be jobs. Nothing was stored."
            )
            raise typer.Exit(2 if problems else 0)
        with current_database(database_settings(), role="import") as database:
            done = import_rows(database, mapping, numbered(lines))
            with database.begin() as connection:
                audit(connection, "history.import", mapping.source)
            narration().print(
                f"{done.rows:,} rows: {done.stored:,} jobs imported, {done.known:,} were there already, "
                f"{done.skipped:,} left out."
            )
            narration().print("Counting them; Ctrl-C leaves that to the dispatcher.")
            count_pending(database)


def _stem(file: Path | None) -> str:
    if file is None or str(file) == "-":
        raise typer.BadParameter("is needed with stdin or a query: it is a part of the ids", param_hint="'--source'")
    return file.stem


def _reading(
    file: Path | None, query: str | None, from_url: str | None, *, delimiter: str
) -> AbstractContextManager[DictReader[str]]:
    from callboard.history_import import reading_file, reading_query

    if query is not None and from_url is not None and file is None:
        return reading_query(from_url, query)
    if file is not None and query is None:
        return reading_file(file, delimiter=delimiter)
    raise typer.BadParameter("name a FILE, or a --query and with --from-url where it runs")


def _address(context: typer.Context, from_url: str | None) -> str | None:
    from callboard.history_import import has_password

    source = context.get_parameter_source("from_url")
    given = source is not None and source.name == "COMMANDLINE"
    if from_url is not None and has_password(from_url) and given:
        raise ConfigurationError(
            "--from-url holds a password, which others on this machine can read in the list of processes. Set "
            "CALLBOARD_IMPORT_URL to this URL instead, or keep the password in ~/.pgpass, a service file or PGPASSWORD."
        )
    return from_url


def _pairs(given: Sequence[str] | None, option: str, names: Sequence[str] = ()) -> dict[str, str]:
    pairs = {}
    for each in given or ():
        name, equals, value = each.partition("=")
        if not equals or not name or not value:
            raise typer.BadParameter(f"{each!r} must be NAME=VALUE", param_hint=f"'{option}'")
        if names and name not in names:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(names)}", param_hint=f"'{option}'")
        pairs[name] = value
    return pairs


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise typer.BadParameter(f"{name!r} is no time zone; one is Europe/Berlin", param_hint="'--timezone'") from None


def _one_character(delimiter: str) -> str:
    if len(delimiter) != 1:
        raise typer.BadParameter("must be one character", param_hint="'--delimiter'")
    return delimiter
