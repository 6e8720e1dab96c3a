"""``callboard history sql`` and ``slowest``: queries to the database itself, as an analyst."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import islice
from typing import Annotated, Any, Final

import typer

from callboard.cli.database import current_database, database_settings
from callboard.cli.display.tables import MOST_ROWS, Rows
from callboard.cli.display.terminal import narration, output, print_json
from callboard.cli.options import AsJson
from callboard.db.rules.text import never_a_formula

_TIMEOUT: Final = 30.0

Timeout = Annotated[float, typer.Option(min=0.1, max=3600, help="Seconds that the query may take.")]
Days = Annotated[int, typer.Option(min=1, max=3660, help="Days up to now.")]

_SLOWEST: Final = """
SELECT id, type, owner, status, run_seconds, wait_seconds, attempts, worker, day::date AS day
FROM analytics.slowest_jobs
WHERE day >= date_trunc('day', now(), 'UTC') - make_interval(hours => 24 * ({days} - 1))
ORDER BY run_seconds DESC
LIMIT {limit}
"""


def register(app: typer.Typer) -> None:
    """Add both commands to ``app``."""
    app.command("sql")(sql)
    app.command()(slowest)


def sql(
    query: Annotated[str, typer.Argument(help="One statement; '-' reads it from stdin.", show_default=False)],
    timeout: Timeout = _TIMEOUT,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, all rows.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask in SQL, read only, as the role callboard_analyst: 'select * from analytics.throughput limit 5'.

    Talks to the database itself: CALLBOARD_DATABASE_URL, or that of 'callboard up' in the data directory.
    """
    rows = _ask(sys.stdin.read() if query == "-" else query, timeout)
    columns: Sequence[str] = next(rows)
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(value) for value in row] for row in rows)
    elif as_json:
        print_json({"items": [_item(columns, row) for row in rows]})
    else:
        first = list(islice(rows, MOST_ROWS + 1))
        _show([_item(columns, row) for row in first[:MOST_ROWS]])
        if len(first) > MOST_ROWS:
            narration().print("There are more: --csv prints all.")


def slowest(
    days: Days = 1,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most jobs to show.")] = 20,
    timeout: Timeout = _TIMEOUT,
    as_json: AsJson = False,
) -> None:
    """Show the jobs whose last attempt ran longest. Talks to the database itself."""
    rows = _ask(_SLOWEST.format(days=days, limit=limit), timeout)
    columns: Sequence[str] = next(rows)
    items = [_item(columns, row) for row in rows]
    if as_json:
        print_json({"items": items})
    else:
        _show(items)


def _ask(query: str, timeout: float) -> Iterator[Any]:
    """Yield the names of the columns, then the rows."""
    from callboard.db.history.analyst_query import ask

    settings = database_settings()
    with current_database(settings, role="analyst") as database, database.begin() as connection:
        yield from ask(connection, query, timeout=timeout)


def _show(items: list[dict[str, Any]]) -> None:
    if items:
        output().print(Rows(items))
    else:
        narration().print("No rows.")


def _item(columns: Sequence[str], row: Sequence[object]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in zip(columns, row, strict=True)}


def _cell(value: object) -> Any:
    """Return a value of PostgreSQL as the cell of a CSV file."""
    plain = _plain(value)
    return never_a_formula(plain) if isinstance(plain, str) else plain


def _plain(value: object) -> Any:
    """Return a value of PostgreSQL in its JSON form. A number of unlimited precision becomes the nearest float."""
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case timedelta():
            return value.total_seconds()
        case list():
            return [_plain(item) for item in value]
        case dict() | str() | int() | float() | None:
            return value
        case _:
            return str(value)
