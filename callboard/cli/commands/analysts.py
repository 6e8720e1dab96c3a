"""``callboard analysts …``: database roles that read history."""

from __future__ import annotations

import re
from typing import Annotated, Final

import typer

from callboard.cli.database import audit, database_settings, plain, transaction
from callboard.cli.display.terminal import narration, output, print_json
from callboard.cli.options import AsJson

app = typer.Typer(help="Make, list and remove database roles that read history.", no_args_is_help=True)

_NAME: Final = re.compile("[a-z][a-z0-9_]{0,62}")

Name = Annotated[str, typer.Argument(help="Name of the database role.", show_default=False)]


@app.command()
def add(
    name: Name,
    owner: Annotated[str | None, typer.Option(help="See this owner's jobs only. Default: all.")] = None,
    connections: Annotated[int, typer.Option(min=1, max=1000, help="Most connections at a time.")] = 5,
    statement_timeout: Annotated[
        float, typer.Option(min=0.001, max=86_400, help="Seconds that a statement may take; a session may set others.")
    ] = 300.0,
    as_json: AsJson = False,
) -> None:
    """Make a role that logs in and reads schema analytics, and print its password, this once."""
    from callboard.db.schema.analysts import AnalystLimits, add_analyst

    if not _NAME.fullmatch(name):
        raise typer.BadParameter("must be a lower-case letter, then letters, digits and _, 63 at most")
    with transaction(database_settings(administrator=True), role="analysts") as connection:
        password = add_analyst(
            connection,
            name,
            owner=None if owner is None else plain(owner, "--owner"),
            limits=AnalystLimits(connections, statement_timeout),
        )
        audit(connection, "analyst.add", name)
    if as_json:
        print_json({"name": name, "owner": owner, "password": password})
        return
    narration().print(f"{name} sees {_sees(owner)}. Keep the password now: it cannot be shown again.")
    typer.echo(password)


@app.command("list")
def list_all(as_json: AsJson = False) -> None:
    """Show who logs in as an analyst, and whose jobs each sees."""
    from callboard.db.schema.analysts import list_analysts

    with transaction(database_settings(administrator=True), role="analysts") as connection:
        items = [{"name": name, "owner": owner} for name, owner in list_analysts(connection)]
    if as_json:
        print_json({"items": items})
    elif items:
        from callboard.cli.display.tables import Rows

        output().print(Rows([{"name": item["name"], "sees": _sees(item["owner"])} for item in items]))
    else:
        narration().print("No analysts.")


@app.command()
def remove(name: Name) -> None:
    """Remove an analyst's role."""
    from callboard.db.schema.analysts import remove_analyst

    with transaction(database_settings(administrator=True), role="analysts") as connection:
        remove_analyst(connection, name)
        audit(connection, "analyst.remove", name)
    narration().print(f"{name} is removed.")


def _sees(owner: str | None) -> str:
    return "all jobs" if owner is None else f"the jobs of {owner}"
