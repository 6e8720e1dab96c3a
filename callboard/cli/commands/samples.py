"""``callboard generate-history``: a made-up history, for trying queries."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Final

import typer

from callboard.cli.database import current_database, database_settings
from callboard.cli.display.formats import number
from callboard.cli.display.terminal import narration

#: Seconds between two lines of progress.
_INTERVAL: Final = 5.0


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("generate-history", rich_help_panel="Servers")(generate)


def generate(
    job_count: Annotated[int, typer.Option("--jobs", min=1, max=1_000_000_000, help="How many jobs, about.")],
    days: Annotated[int, typer.Option(min=1, max=3660, help="Days up to now over which they are spread.")] = 90,
    seed: Annotated[int, typer.Option(help="The same seed makes the same jobs on the same day.")] = 1,
    add: Annotated[bool, typer.Option("--add", help="Do it although the database has jobs already.")] = False,
) -> None:
    """Fill a database with a made-up history: job types, owners, daily waves, failures, retries, long tails.

    For trying queries, never for a database with real jobs: it is refused there unless --add says otherwise.
    """
    from callboard.db.history.rollups.counting import count_pending
    from callboard.history_generator import generate_history

    start = time.monotonic()
    with current_database(database_settings(), role="samples", pool_size=2) as database:
        stored = generate_history(database, job_count=job_count, days=days, seed=seed, add=add, progress=_shown("jobs"))
        took = time.monotonic() - start
        narration().print(f"{number(stored)} jobs stored in {took:.0f} s. They have the tag generated=yes.")
        narration().print(f"Counting them in up to {number(days * 24)} hours; Ctrl-C leaves that to the dispatcher.")
        count_pending(database, _shown("hours"))


def _shown(unit: str) -> Callable[[int], None]:
    """Return what shows progress, a line every few seconds."""
    shown = time.monotonic()

    def show(done: int) -> None:
        nonlocal shown
        if time.monotonic() - shown >= _INTERVAL:
            shown = time.monotonic()
            narration().print(f"{number(done)} {unit}")

    return show
