"""``callboard queues``, ``workers`` and ``job-types``: what the system is doing, and what it can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from callboard.cli.display.tables import Rows
from callboard.cli.display.terminal import narration, output, print_json
from callboard.cli.display.views import system_table
from callboard.cli.options import AsJson, connect

if TYPE_CHECKING:
    from callboard.client import Queue, Worker


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    for command in (queues, workers, job_types):
        app.command(rich_help_panel="Jobs")(command)


def queues(as_json: AsJson = False) -> None:
    """Show what waits and runs in each queue."""
    with connect() as client:
        _print(client.queues(), as_json, none="No queues.")


def workers(as_json: AsJson = False) -> None:
    """Show the worker processes and what they run."""
    with connect() as client:
        _print(client.workers(), as_json, none="No workers.")


def job_types(as_json: AsJson = False) -> None:
    """Show what can be submitted."""
    with connect() as client:
        items = client.job_types()
    if as_json:
        print_json({"items": items})
    else:
        output().print(Rows([{"type": item.name, "queue": item.queue, "does": item.description} for item in items]))


def _print(items: Sequence[Queue | Worker], as_json: bool, *, none: str) -> None:
    if as_json:
        print_json({"items": items})
    elif items:
        output().print(system_table(items))
    else:
        narration().print(none)
