"""A flag of ``callboard submit`` for each option of a submission."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, cast
from uuid import UUID

import typer

from callboard.cli.display.flags import flag_of
from callboard.cli.options import tags_of, time_of
from callboard.db.rules.new_job import OPTIONS, Kind, Option

if TYPE_CHECKING:
    from callboard.client import SubmitOptions

_PANEL: Final = "How the job runs"


def with_submission_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the flags, in place of its ``**flags``; :func:`read_flags` reads what it is given."""
    parameters = list(inspect.signature(command, eval_str=True).parameters.values())
    place = next(place for place, each in enumerate(parameters) if each.kind is each.VAR_KEYWORD)
    parameters[place : place + 1] = [_flag(name, option) for name, option in OPTIONS.items()]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # Typer reads it
    return command


def read_flags(flags: Mapping[str, Any]) -> SubmitOptions:
    """Return the options for the client; those left out are not among them.

    Raises:
        typer.BadParameter: a value is not valid.
    """
    options: dict[str, Any] = {}
    for name, option in OPTIONS.items():
        value = flags[name]
        match option.kind:
            case Kind.TIME:
                value = time_of(value, option=flag_of(name))
            case Kind.TAGS:
                value = tags_of(value)
        if value is not None:
            if option.above is not None and value <= option.above:
                raise typer.BadParameter(
                    f"'{value:g}' should be above {option.above:g}.", param_hint=f"'{flag_of(name)}'"
                )
            options[name] = value
    return cast("SubmitOptions", options)


def _flag(name: str, option: Option) -> inspect.Parameter:
    kind: Any = str
    settings: dict[str, Any] = {}
    note = "" if option.above is None else f" Above {option.above:g}."
    match option.kind:
        case Kind.INTEGER:
            kind, settings = int, {"min": option.least, "max": option.most}
        case Kind.SECONDS:
            kind, settings = float, {"min": option.least, "max": option.most}
        case Kind.TIME:
            settings = {"metavar": "TIME"}
            note = " Such as 2030-01-31T09:00, which is local time, or with an offset."
        case Kind.JOB_ID:
            kind, settings = UUID, {"metavar": "ID"}
        case Kind.TAGS:
            kind, settings, note = list[str], {"metavar": "KEY=VALUE", "show_default": False}, " Repeat for several."
    text = re.sub("`([a-z_]+)`", lambda match: flag_of(match[1]), option.doc)
    flag = typer.Option(flag_of(name), help=text + note, rich_help_panel=_PANEL, **settings)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, flag]
    )
