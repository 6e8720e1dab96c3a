"""One job from an HTTP request to its row in the history, on a system started for it: what ``make demo`` runs."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from rich.console import Console
from rich.text import Text

from callboard.cli.display.cells import inline
from callboard.cli.display.formats import duration, size
from callboard.cli.display.ordering import in_field_order
from callboard.cli.display.progress import show_until_done
from callboard.cli.display.tables import fields
from callboard.cli.display.terminal import EXIT_JOB_FAILED, exit_code, output, safe, show_error
from callboard.cli.display.views import outcome
from callboard.client import Client, Job, UploadedFile
from callboard.db.errors import CallboardError, ConfigurationError, Unavailable
from callboard.demo.up_process import UpProcess

_EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples"
_DATA_DIR: Final = Path(".callboard/demo")
_JOB_TYPE: Final = "table.analyze"
#: Seconds that the API may be unavailable while the job runs.
_RETRY_FOR: Final = 30.0

_HISTORY_ROW: Final = """\
SELECT id, type, queue, status, owner, priority, attempt, worker,
       created_at, started_at, finished_at, finished_at - started_at AS took
FROM callboard.job_history
WHERE id = %(id)s"""


def main() -> None:
    """Run the demo and exit: 0 when the job succeeded, 1 when it did not, 2 or 3 when the demo could not go on.

    Whichever way the demo ends, nothing that it started runs on.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: sys.exit(128 + received))
    try:
        job = Demo(output()).run(_example_table())
    except CallboardError as error:
        show_error(error)
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0 if job.status == "succeeded" else EXIT_JOB_FAILED)


class Demo:
    """Tells each step on a console as it does it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._steps = 0

    def run(self, table: Path) -> Job:
        """Start the system, let it analyze the table, show the result, and stop the system. Returns the finished job.

        Raises:
            CallboardError: a step failed.
        """
        self._step("Start PostgreSQL, API, dispatcher and workers", "callboard", "up", "--data-dir", str(_DATA_DIR))
        with UpProcess(_DATA_DIR) as system, Client(system.url) as client:
            with self._console.status("Starting"):
                system.wait_until_ready()
            file = self._upload(client, table)
            job = self._analyze(client, file)
            self._step("Read its result")
            self._console.print(outcome(in_field_order(client, job)))
            self._show_history(system.database_url, job)
            self._step("Stop")
        self._console.print(f"Nothing runs any more. The data stays in {_DATA_DIR}.")
        return job

    def _upload(self, client: Client, table: Path) -> UploadedFile:
        self._step(
            f"Upload {table.name} ({size(table.stat().st_size)})",
            "curl", "-F", f"file=@{os.path.relpath(table)}", f"{client.address}/v1/files",
        )  # fmt: skip
        file = client.upload(table)
        facts = {"id": str(file.id), "media_type": file.media_type, "sha256": file.sha256}
        self._console.print(fields((name, inline(value)) for name, value in facts.items()))
        return file

    def _analyze(self, client: Client, file: UploadedFile) -> Job:
        payload = {"file": str(file.id)}
        request = json.dumps({"type": _JOB_TYPE, "payload": payload})
        self._step(
            f"Submit a {_JOB_TYPE} job for it and watch",
            "curl", "-H", "Content-Type: application/json", "-d", request, f"{client.address}/v1/jobs",
        )  # fmt: skip
        job = client.submit(_JOB_TYPE, payload)
        self._console.print(safe(f"Accepted as {job.id}"))
        return show_until_done(client, job, retry_for=_RETRY_FOR)

    def _show_history(self, database_url: str, job: Job) -> None:
        self._step("Read the same job with SQL")
        self._console.print(Text(_HISTORY_ROW + "\n", style="dim"), soft_wrap=True)
        row = _history_row(database_url, job.id)
        self._console.print(fields((name, inline(_readable(value))) for name, value in row.items()))

    def _step(self, title: str, *command: str) -> None:
        self._steps += 1
        self._console.print(Text(f"\n{self._steps}. {title}", style="bold cyan"))
        if command:
            self._console.print(safe(f"$ {shlex.join(command)}", "dim"), soft_wrap=True)


def _example_table() -> Path:
    tables = sorted(_EXAMPLES.glob("*.csv"))
    if len(tables) != 1:
        raise ConfigurationError(
            f"The demo takes the one CSV file of {_EXAMPLES}, but there are {len(tables)}. Run it from a clone."
        )
    return tables[0]


def _history_row(database_url: str, job_id: UUID) -> dict[str, Any]:
    try:
        with psycopg.connect(database_url, connect_timeout=5, row_factory=dict_row) as connection:
            row = connection.execute(_HISTORY_ROW, {"id": job_id}).fetchone()
    except psycopg.Error as error:
        # The error of a failed connection may repeat the URL's parts, the password never.
        raise Unavailable(f"The history cannot be read: {str(error).strip()}") from error
    if row is None:
        raise Unavailable(f"Job {job_id} is done, but has no row in callboard.job_history.")
    return row


def _readable(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="milliseconds")
    if isinstance(value, timedelta):
        return duration(value.total_seconds())
    return value if isinstance(value, int | float | str | None) else str(value)


if __name__ == "__main__":
    main()
