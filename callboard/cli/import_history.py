"""``callboard import-history``: finished jobs of an existing status table."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, TextIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from callboard.cli.database import audit, current_database, database_settings, plain
from callboard.cli.terminal import narration, safe
from db.errors import ConfigurationError

#: A payload is a field of its row.
_LONGEST_FIELD: Final = 2**27
_SHOWN: Final = 20


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("import-history", rich_help_panel="Servers")(import_history)


def import_history(
    file: Annotated[Path, typer.Argument(help="CSV with a header, in UTF-8; -: from stdin.", allow_dash=True)],
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
    from callboard.counting import count_pending
    from callboard.imports import COLUMNS, Mapping, check_rows, import_rows

    if source is None and str(file) == "-":
        raise typer.BadParameter("is needed with stdin: it is a part of the ids", param_hint="'--source'")
    mapping = Mapping(
        source=plain(source or file.stem, "--source"),
        columns=_pairs(columns, "--map", COLUMNS),
        constants=_pairs(constants, "--set", COLUMNS),
        statuses=_pairs(statuses, "--status"),
        zone=_zone(timezone),
    )
    with _opened(file) as stream:
        lines = csv.DictReader(stream, delimiter=_one_character(delimiter))
        mapping.require_columns(lines.fieldnames or ())
        if dry_run:
            found, problems = check_rows(mapping, _numbered(lines))
            for problem in problems[:_SHOWN]:
                narration().print(safe(problem))
            narration().print(
                f"{found.rows:,} rows: {found.stored:,} jobs, {found.skipped:,} to leave out, "
                f"{len(problems):,} that cannot be jobs. Nothing was stored."
            )
            raise typer.Exit(2 if problems else 0)
        with current_database(database_settings(), role="import") as database:
            done = import_rows(database, mapping, _numbered(lines))
            with database.begin() as connection:
                audit(connection, "history.import", mapping.source)
            narration().print(
                f"{done.rows:,} rows: {done.stored:,} jobs imported, {done.known:,} were there already, "
                f"{done.skipped:,} left out."
            )
            narration().print("Counting them; Ctrl-C leaves that to the dispatcher.")
            count_pending(database)


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


@contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    csv.field_size_limit(_LONGEST_FIELD)
    if str(file) == "-":
        yield sys.stdin
        return
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            yield stream
    except FileNotFoundError as missing:
        raise ConfigurationError(f"There is no file {str(file)!r}.") from missing


def _numbered(lines: csv.DictReader[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row with the line on which it ends.

    Raises:
        ConfigurationError: the file is not CSV in UTF-8.
    """
    try:
        for row in lines:
            # DictReader puts what goes beyond the header under None, and None where a row is too short.
            if None in row or None in row.values():
                raise ConfigurationError(
                    f"Line {lines.line_num:,} has not as many fields as the header. Is --delimiter right?"
                )
            yield lines.line_num, row
    except (csv.Error, UnicodeDecodeError) as error:
        raise ConfigurationError(f"Line {lines.line_num + 1:,} cannot be read as CSV in UTF-8: {error}.") from error
