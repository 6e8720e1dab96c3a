"""``callboard submit`` and ``callboard watch``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer

from callboard.cli.display.ordering import in_field_order
from callboard.cli.display.progress import show_until_done
from callboard.cli.display.terminal import EXIT_JOB_FAILED, narration, output, print_json, safe
from callboard.cli.display.views import outcome
from callboard.cli.options import AsJson, JobId, connect, key_and_value
from callboard.cli.payloads import opened_files, read_payload, upload_files
from callboard.cli.submission_options import read_flags, with_submission_options

if TYPE_CHECKING:
    from callboard.client import Client, Job


def register(app: typer.Typer) -> None:
    """Add both commands to ``app``."""
    for command in (submit, watch):
        app.command(rich_help_panel="Jobs")(command)


@with_submission_options
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
    idempotency_key: Annotated[str | None, typer.Option(help="The same key twice submits once.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show its progress, then its result.")] = False,
    as_json: AsJson = False,
    **flags: Any,
) -> None:
    """Submit a job and print its id. It is stored durably by then."""
    options = read_flags(flags)
    key = _checked(idempotency_key)
    data = read_payload(payload)
    files = [key_and_value(item, option="--file", form="FIELD=PATH") for item in file or ()]
    with opened_files(data, files) as opened, connect() as client:
        if opened:
            # A wrong name is to be found before large files are sent.
            client.job_type(job_type)
        uploaded = upload_files(client, opened)
        data = {**data, **uploaded} if uploaded else data
        with _advice(key, own=idempotency_key is not None, repeatable=not files), _removed_if_refused(client, uploaded):
            job = client.submit(job_type, data, idempotency_key=key, **options)
        if job.existing and (idempotency_key is not None or "unique_key" in options):
            narration().print("This job was there already; no other was submitted.")
        if watch:
            narration().print(safe(f"Job {job.id}"))
            _watch(client, job, as_json)
            return
        try:
            if as_json:
                print_json(job)
            else:
                output().print(safe(job.id), soft_wrap=True)
        except OSError:
            # The job is there, and nothing else says which it is.
            narration().print(safe(f"Job {job.id} is submitted."), soft_wrap=True)
            raise


def watch(job_id: JobId, as_json: AsJson = False) -> None:
    """Show a job's progress until it is done, then its result. Exits with 0 if it succeeded, else 1."""
    with connect() as client:
        _watch(client, client.get(job_id), as_json)


def _checked(idempotency_key: str | None) -> str:
    """Return the key, or a new one for None.

    Raises:
        typer.BadParameter: the key cannot be sent.
    """
    if idempotency_key is None:
        return str(uuid4())
    if not 0 < len(idempotency_key) <= 255 or not all("!" <= character <= "~" for character in idempotency_key):
        raise typer.BadParameter(
            f"{idempotency_key!r} is not 1 to 255 visible ASCII characters.", param_hint="'--idempotency-key'"
        )
    return idempotency_key


@contextmanager
def _advice(key: str, *, own: bool, repeatable: bool) -> Iterator[None]:
    """Add to an error that leaves open whether the job was accepted how to find out."""
    from callboard.client import ServerUnavailable, ServerUnreachable

    try:
        yield
    except (ServerUnreachable, ServerUnavailable) as error:
        if not isinstance(error, ServerUnreachable) or error.sent:
            error.add_note("The job may have been accepted.")
            if not repeatable:
                # Uploaded again, the files have other ids, so it is another submission.
                error.add_note("Look at 'callboard jobs list' before submitting it again.")
            elif own:
                error.add_note("Submit again with the same idempotency key: that gives one job.")
            else:
                error.add_note(f"Submit again with --idempotency-key {key}: that gives one job.")
        raise


@contextmanager
def _removed_if_refused(client: Client, uploaded: Mapping[str, str]) -> Iterator[None]:
    """Remove what was uploaded for a submission that the server refuses for good."""
    from callboard.client import ClientError, InvalidRequest

    try:
        yield
    except InvalidRequest:
        for file_id in uploaded.values():
            with suppress(ClientError):
                client.delete_file(file_id)
        raise


def _watch(client: Client, job: Job, as_json: bool) -> None:
    try:
        job = show_until_done(client, job)
    except KeyboardInterrupt:
        narration().print(safe(f"The job goes on. To see it again: callboard watch {job.id}"), soft_wrap=True)
        raise
    if as_json:
        print_json(job)
    else:
        output().print(outcome(in_field_order(client, job)))
    if job.status != "succeeded":
        raise typer.Exit(EXIT_JOB_FAILED)
