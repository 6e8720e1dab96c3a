"""``callboard retention …``: the rules by which history is deleted."""

from __future__ import annotations

import difflib
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from callboard.cli.database import audit, database_settings, plain, transaction
from callboard.cli.display.terminal import narration, output, print_json
from callboard.cli.options import AsJson
from callboard.db.errors import NotFound

if TYPE_CHECKING:  # other commands start quickly, so functions import what uses a database
    from sqlalchemy import Connection

    from callboard.db.settings import Settings

app = typer.Typer(help="Say how long finished jobs are kept. Without a rule, history stays.", no_args_is_help=True)


class Outcome(StrEnum):
    """Which jobs a rule is about."""

    ANY = "*"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


JobType = Annotated[str, typer.Option("--type", help="Job type that the rule is about; *: all.")]
OutcomeOption = Annotated[Outcome, typer.Option("--outcome", help="How the jobs ended; *: in whatever way.")]


@app.command("set")
def set_rule(
    days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Days that a job is kept from its end.", show_default=False)
    ] = None,
    for_ever: Annotated[bool, typer.Option("--for-ever", help="Keep such jobs whatever other rules say.")] = False,
    job_type: JobType = "*",
    outcome: OutcomeOption = Outcome.ANY,
) -> None:
    """Set a rule. The most specific one holds: type and outcome, then type, then outcome, then all.

    History is deleted by whole months, once no rule keeps a job of the month. Where a rule keeps a month much longer
    than another, jobs of the other lose their payload, result and errors, and their rows stay for the statistics.
    Nothing is deleted early.
    """
    from callboard.db.history.retention import Rule
    from callboard.db.history.retention import set_rule as store

    if (days is None) != for_ever:
        raise typer.BadParameter("give one of --days and --for-ever", param_hint="'--days'")
    rule = Rule(plain(job_type, "--type"), outcome.value, days)
    settings = database_settings()
    with transaction(settings, role="retention") as connection:
        _check_type(connection, settings, rule.type)
        store(connection, rule)
        audit(connection, "retention.set", f"{rule.type} {rule.outcome} {_kept(days)}")
    narration().print(f"Kept {_kept(days)}: {_about(rule.type, rule.outcome)}.")


@app.command("list")
def list_rules(as_json: AsJson = False) -> None:
    """Show the rules, the general ones first."""
    from callboard.db.history.retention import list_rules as read

    with transaction(database_settings(), role="retention") as connection:
        items = [{"type": rule.type, "outcome": rule.outcome, "days": rule.keep_days} for rule in read(connection)]
    if as_json:
        print_json({"items": items})
    elif items:
        from callboard.cli.display.tables import Rows

        output().print(Rows([{**item, "days": item["days"] or "for ever"} for item in items]))
    else:
        narration().print("No rules: all history stays.")


@app.command()
def unset(job_type: JobType = "*", outcome: OutcomeOption = Outcome.ANY) -> None:
    """Remove a rule."""
    from callboard.db.history.retention import unset_rule

    with transaction(database_settings(), role="retention") as connection:
        if not unset_rule(connection, job_type, outcome.value):
            raise NotFound(
                f"There is no rule for {_about(job_type, outcome.value)}. 'callboard retention list' shows them."
            )
        audit(connection, "retention.unset", f"{job_type} {outcome.value}")
    narration().print(f"No rule any more: {_about(job_type, outcome.value)}.")


def _check_type(connection: Connection, settings: Settings, name: str) -> None:
    """Refuse a job type that nobody has heard of: its rule would keep nothing.

    Raises:
        typer.BadParameter: the history has no such jobs, and no job module defines the type.
    """
    from callboard.actors.types.registry import load_job_types
    from callboard.db.history.retention import ANY, types_in

    known = {ANY, *types_in(connection, "callboard.job_history")}
    if name in known:
        return
    known |= {job_type.name for job_type in load_job_types(settings.job_modules, diagnostics=True)}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else "The history has no such jobs."
        raise typer.BadParameter(
            f"there is no job type {name!r}. {hint} Types of which no job has ended are known from "
            "CALLBOARD_JOB_MODULES.",
            param_hint="'--type'",
        )


def _kept(days: int | None) -> str:
    return "for ever" if days is None else f"{days} days"


def _about(job_type: str, outcome: str) -> str:
    return f"{'all' if outcome == '*' else outcome} jobs of {'all types' if job_type == '*' else job_type}"
