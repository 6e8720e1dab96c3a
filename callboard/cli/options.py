"""Options that several commands share, and the client they use."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from callboard.cli.client import Client
from callboard.db.settings import load_settings

JobId = Annotated[UUID, typer.Argument(metavar="ID", help="The job's id.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def connect() -> Client:
    """Return a client for the server that the environment names; use it as a context manager.

    Raises:
        ConfigurationError: a setting does not fit.
    """
    return Client.from_settings(load_settings())


def key_and_value(text: str, *, option: str, form: str) -> tuple[str, str]:
    """Split ``key=value``; ``form`` says in the error what was expected.

    Raises:
        typer.BadParameter: there is no ``=``, or nothing before it.
    """
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise typer.BadParameter(f"{text!r} is not of the form {form}.", param_hint=f"'{option}'")
    return key, value
