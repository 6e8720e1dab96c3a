"""What the command line says of an argument that does not fit."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup


class Commands(TyperGroup):
    """All commands. An error names the value that it is about, which Typer's own words leave out."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that ``ctx`` names.

        Raises:
            typer.BadParameter: a value does not fit its option.
        """
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = _reason(error.__cause__) or error.message
            raise


def _reason(cause: BaseException | None) -> str | None:
    """Return why Pydantic, by which Typer reads values, refused one; None if something else refused it."""
    from pydantic import ValidationError

    if not isinstance(cause, ValidationError):
        return None
    error = cause.errors()[0]
    value = str(error["input"])
    if value.strip().lower() in {"nan", "+nan", "-nan"}:
        return f"{value!r} is not a number."
    # "Input should be a valid integer, unable to parse string as an integer" says it twice.
    reason = error["msg"].removeprefix("Value error, ").partition(", unable")[0].replace("Input", repr(value), 1)
    return reason.removesuffix(".") + "."
