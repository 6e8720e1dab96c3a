"""``callboard history summary``, ``failures`` and ``export``: the numbers that the API gives."""

from __future__ import annotations

from typing import Any

import typer

from callboard.cli.options import AsJson, connect
from callboard.cli.terminal import print_json


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command()(failures)


def failures(as_json: AsJson = False) -> None:
    """Show what failed, by type and error."""
    with connect() as client:
        items: list[dict[str, Any]] = list(client._items("/v1/history/failures", {}))
    print_json({"items": items})
