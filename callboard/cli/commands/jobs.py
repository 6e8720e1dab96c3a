"""``callboard jobs``: look at jobs, stop them, run them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import typer

from callboard.cli.display.ordering import in_field_order
from callboard.cli.display.terminal import as_object, narration, output, print_json, safe
from callboard.cli.display.views import JobList, details
from callboard.cli.options import AsJson, JobId, connect, tags_of, time_of
from callboard.db.rules.states import Status

if TYPE_CHECKING:
    from callboard.client import Client, Filters, JobInList, Page

_LARGEST_PAGE: Final = 500

app = typer.Typer(help="Look at jobs, stop them, run them again.", no_args_is_help=True)


@app.command("list")
def list_jobs(
    *,
    status: Annotated[
        list[Status] | None, typer.Option(help="Only jobs in this state; repeat for several.", show_default=False)
    ] = None,
    job_type: Annotated[str | None, typer.Option("--type", help="Only jobs of this type.")] = None,
    queue: Annotated[str | None, typer.Option(help="Only jobs of this queue.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only this owner's jobs (operators).")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Only jobs with this tag.", show_default=False)
    ] = None,
    created_after: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only jobs made then or later; local time, or with an offset.")
    ] = None,
    created_before: Annotated[str | None, typer.Option(metavar="TIME", help="Only jobs made before then.")] = None,
    parent_id: Annotated[UUID | None, typer.Option(metavar="ID", help="Only jobs that belong to this one.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most jobs to list.")] = 20,
    page_token: Annotated[str | None, typer.Option(help="Go on where an earlier list ended.")] = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, live and finished, newest first."""
    wanted: Filters = {
        "status": status,
        "type": job_type,
        "queue": queue,
        "owner": owner,
        "tags": tags_of(tag),
        "created_after": time_of(created_after, option="--created-after"),
        "created_before": time_of(created_before, option="--created-before"),
        "parent_id": parent_id,
    }
    with connect() as client:
        page = _list(client, wanted, limit=limit, page_token=page_token)
    if as_json:
        print_json(page)
        return
    if page.items:
        output().print(JobList(page.items))
    else:
        narration().print("No jobs.")
    if page.next_page_token is not None:
        narration().print(
            safe(f"There are more: --limit, or --page-token {page.next_page_token}", "dim"), soft_wrap=True
        )


def _list(client: Client, wanted: Filters, *, limit: int, page_token: str | None) -> Page[JobInList]:
    """Return up to ``limit`` jobs as one page, whatever number of requests that needs."""
    items: list[JobInList] = []
    while True:
        page_size = min(limit - len(items), _LARGEST_PAGE)
        page = client.jobs_page(page_token=page_token, **wanted, page_size=page_size)
        items += page.items
        page_token = page.next_page_token
        if page_token is None or len(items) >= limit:
            page.items = items
            return page


@app.command()
def show(job_id: JobId, as_json: AsJson = False) -> None:
    """Show one job with its attempts, payload and result."""
    with connect() as client:
        job = in_field_order(client, client.get(job_id, include_payload=True))
        attempts = client.attempts(job_id)
    if as_json:
        print_json({**as_object(job), "attempts": attempts})
    else:
        output().print(details(job, attempts))


@app.command()
def cancel(job_id: JobId, as_json: AsJson = False) -> None:
    """Stop a job: at once if it waits, within moments if it runs."""
    with connect() as client:
        job = client.cancel(job_id)
    if as_json:
        print_json(job)
    else:
        output().print(safe(f"{job.id} {job.status if job.done else 'is about to stop'}"), soft_wrap=True)


@app.command()
def retry(job_id: JobId, as_json: AsJson = False) -> None:
    """Run a job again that failed, was cancelled or expired."""
    with connect() as client:
        job = client.retry(job_id)
    if as_json:
        print_json(job)
    else:
        output().print(safe(f"{job.id} {job.status}"), soft_wrap=True)
