"""``callboard history …``: statistics of finished jobs."""

from __future__ import annotations

import typer

from callboard.cli.commands import history_http, history_sql

app = typer.Typer(help="Ask what became of jobs: over HTTP, and in SQL.", no_args_is_help=True)
history_http.register(app)
history_sql.register(app)
