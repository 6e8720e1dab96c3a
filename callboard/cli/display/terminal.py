"""The two consoles, and how text, JSON and errors are written to them."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel
from rich.console import Console
from rich.text import Text

from callboard.cli.display.flags import flag_of
from callboard.db.errors import CallboardError
from callboard.db.rules.new_job import OPTIONS
from callboard.db.settings import load_settings

#: Exit codes beside 0.
EXIT_JOB_FAILED: Final = 1
EXIT_REFUSED: Final = 2
EXIT_UNREACHABLE: Final = 3

#: Columns of a line where there is no terminal: lines stay whole for grep and cut.
_PIPE_WIDTH: Final = 160

# What could move the cursor, change colours or reorder a line: control characters but tab and newline, and the marks
# that override the direction of text. Job messages and file names come from others.
_UNSAFE: Final = dict.fromkeys(
    [
        *(c for c in range(0x20) if c not in (0x09, 0x0A)),
        *range(0x7F, 0xA0),
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
    ],
    "\N{REPLACEMENT CHARACTER}",
)


def output() -> Console:
    """Return the console on stdout, for the output that the user asked for and nothing else."""
    return _console(stderr=False)


def narration() -> Console:
    """Return the console on stderr, for progress, hints and errors."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else shutil.get_terminal_size((_PIPE_WIDTH, 0)).columns
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def safe(text: object, style: str = "") -> Text:
    """Return text of others without what a terminal would act on."""
    return Text(str(text).translate(_UNSAFE), style=style)


def print_json(value: Any) -> None:
    """Write ``value`` to stdout for machines: what came out of JSON, and models of responses as the API sent them."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=_as_json) + "\n")
    sys.stdout.flush()


def as_object(model: BaseModel) -> dict[str, Any]:
    """Return the fields that the API sent, by the names that it gave them."""
    names = {name: field.alias or name for name, field in type(model).model_fields.items()}
    return {names.get(name, name): value for name, value in model if name in model.model_fields_set}


def _as_json(value: object) -> Any:
    match value:
        case BaseModel():
            return as_object(value)
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case UUID():
            return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def error_text(error: CallboardError) -> str:
    """Return what is wrong, and what a user of the command line can do about it."""
    from callboard.client import Problem

    says = str(error)
    if isinstance(error, Problem) and error.status == HTTPStatus.UNAUTHORIZED and load_settings().api_key is None:
        # The server says how a key is sent, which is the command's own business.
        says = "The server asks for an API key."
    return " ".join([says, *_advice(error), *getattr(error, "__notes__", ())])


def _advice(error: CallboardError) -> list[str]:
    from callboard.client import Problem, ServerUnreachable, UnexpectedResponse

    match error:
        case ServerUnreachable(sent=False):
            return ["Start one with 'callboard up', or set CALLBOARD_URL to where yours is."]
        case Problem(code=UnexpectedResponse.code):
            return ["The command line takes the URL from CALLBOARD_URL."]
        case Problem(status=401):
            return ["Set CALLBOARD_API_KEY to a valid API key; 'callboard keys create' makes one."]
        case Problem(code="unknown-job-type"):
            return ["'callboard job-types' lists them all."]
    return []


def show_error(error: CallboardError) -> None:
    """Write one line to stderr, and one more for each part of the input that is not valid."""
    from callboard.client import Problem

    console = narration()
    console.print(Text("Error: ", style="bold red") + safe(error_text(error), "red"), soft_wrap=True)
    for item in error.errors if isinstance(error, Problem) else ():
        console.print(Text("  ") + safe(_place(item.pointer), "bold") + Text("  ") + safe(item.detail), soft_wrap=True)


def _place(pointer: str) -> str:
    """Return what the user of a command calls the part of a submission at ``pointer``."""
    name, _, rest = pointer.removeprefix("/").partition("/")
    return flag_of(name) + (f" {rest}" if rest else "") if name in OPTIONS else pointer or "/"


def exit_code(error: CallboardError) -> int:
    """Return the exit code of a process that ``error`` ends."""
    from callboard.client import Problem, ServerUnreachable

    unavailable = isinstance(error, ServerUnreachable) or (isinstance(error, Problem) and error.status >= 500)
    return EXIT_UNREACHABLE if unavailable else EXIT_REFUSED
