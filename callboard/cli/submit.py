"""``callboard submit`` and ``callboard watch``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from callboard.cli.answers import ServerUnreachable
from callboard.cli.client import Client, Json, Seen, Submitted
from callboard.cli.options import AsJson, JobId, connect, key_and_value
from callboard.cli.payloads import read_payload, upload_files
from callboard.cli.progress import show_until_done
from callboard.cli.terminal import EXIT_JOB_FAILED, narration, output, print_json, safe
from callboard.cli.views import outcome


def register(app: typer.Typer) -> None:
    """Add both commands to ``app``."""
    for command in (submit, watch):
        app.command(rich_help_panel="Jobs")(command)


def submit(
    *,
    job_type: Annotated[str, typer.Argument(metavar="TYPE", help="The job type, such as table.analyze.")],
    payload: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE|-", help="The payload: JSON, a file with it, or - for stdin.")
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD=PATH", help="Upload a file and put its id into the payload.", show_default=False),
    ] = None,
    queue: Annotated[str | None, typer.Option(help="Another queue than the type's own.")] = None,
    priority: Annotated[int | None, typer.Option(min=0, max=9, help="0 to 9, higher first.")] = None,
    delay: Annotated[float | None, typer.Option(min=0, help="Seconds to wait before it is due.")] = None,
    scheduled_at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When it is due, such as 2030-01-31T09:00; local time, or with an offset."),
    ] = None,
    max_retries: Annotated[int | None, typer.Option(min=0, help="Attempts after the first.")] = None,
    time_limit: Annotated[float | None, typer.Option(min=0, help="Seconds that one attempt may take.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A tag; repeat for several.", show_default=False)
    ] = None,
    unique_key: Annotated[str | None, typer.Option(help="Give the live job of this key, if there is one.")] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="The same key twice submits once.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show its progress, then its result.")] = False,
    as_json: AsJson = False,
) -> None:
    """Submit a job and print its id. It is stored durably by then."""
    options = {
        "queue": queue,
        "priority": priority,
        "delay": delay,
        "scheduled_at": None if scheduled_at is None else _utc(scheduled_at),
        "max_retries": max_retries,
        "time_limit": time_limit,
        "tags": dict(key_and_value(item, option="--tag", form="KEY=VALUE") for item in tag or ()) or None,
        "unique_key": unique_key,
    }
    body: Json = {"type": job_type, "payload": read_payload(payload)}
    body |= {name: value for name, value in options.items() if value is not None}
    files = [key_and_value(item, option="--file", form="FIELD=PATH") for item in file or ()]
    with connect() as client:
        body["payload"] = upload_files(client, body["payload"], files)
        submitted = _submit(client, body, idempotency_key)
        job = submitted.seen.job
        if submitted.existing:
            narration().print("This job was there already; no other was submitted.")
        if watch:
            narration().print(safe(f"Job {job['id']}"))
            _watch(client, submitted.seen, as_json)
        elif as_json:
            print_json(job)
        else:
            output().print(safe(job["id"]), soft_wrap=True)


def watch(job_id: JobId, as_json: AsJson = False) -> None:
    """Show a job's progress until it is done, then its result. Exits with 0 if it succeeded, else 1."""
    with connect() as client:
        _watch(client, client.job(job_id), as_json)


def _submit(client: Client, body: Json, idempotency_key: str | None) -> Submitted:
    try:
        return client.submit(body, idempotency_key=idempotency_key)
    except ServerUnreachable as error:
        if not error.sent:
            raise
        advice = (
            "The job may have been accepted; look at 'callboard jobs list' before submitting it again."
            if idempotency_key is None
            else "Submit again with the same idempotency key: that gives one job."
        )
        raise ServerUnreachable(f"{error} {advice}", sent=True) from error


def _watch(client: Client, seen: Seen, as_json: bool) -> None:
    try:
        job = show_until_done(client, seen)
    except KeyboardInterrupt:
        narration().print(safe(f"The job goes on. To see it again: callboard watch {seen.job['id']}"), soft_wrap=True)
        raise
    if as_json:
        print_json(job)
    else:
        output().print(outcome(client.in_field_order(job)))
    if job["status"] != "succeeded":
        raise typer.Exit(EXIT_JOB_FAILED)


def _utc(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is not a time such as 2030-01-31T09:00 or 2030-01-31T09:00:00Z.", param_hint="'--scheduled-at'"
        ) from error
    return moment.astimezone(UTC).isoformat()
