"""A flag of ``callboard submit`` for each option of a submission."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, cast
from uuid import UUID

import typer

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
                value = time_of(value, option=f"--{name.replace('_', '-')}")
            case Kind.TAGS:
                value = tags_of(value)
        if value is not None:
            options[name] = value
    return cast("SubmitOptions", options)


def _flag(name: str, option: Option) -> inspect.Parameter:
    lowest = option.above if option.least is None else option.least
    kind: Any = str
    settings: dict[str, Any] = {}
    note = ""
    match option.kind:
        case Kind.INTEGER:
            kind, settings = int, {"min": lowest, "max": option.most}
        case Kind.SECONDS:
            kind, settings = float, {"min": lowest, "max": option.most}
        case Kind.TIME:
            settings = {"metavar": "TIME"}
            note = " Such as 2030-01-31T09:00, which is local time, or with an offset."
        case Kind.JOB_ID:
            kind, settings = UUID, {"metavar": "ID"}
        case Kind.TAGS:
            kind, settings, note = list[str], {"metavar": "KEY=VALUE", "show_default": False}, " Repeat for several."
    names = ("--tag",) if option.kind is Kind.TAGS else ()
    flag = typer.Option(*names, help=option.doc + note, rich_help_panel=_PANEL, **settings)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, flag]
    )
