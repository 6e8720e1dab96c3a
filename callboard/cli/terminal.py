"""The two consoles, what may be written to them, and what an error looks like there."""

from __future__ import annotations

import json
import shutil
import sys
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from callboard.cli.answers import ProblemAnswer, ServerUnreachable
from callboard.db.errors import CallboardError

#: Exit codes beside 0 and those of a watched job.
EXIT_JOB_FAILED: Final = 1
EXIT_REFUSED: Final = 2
EXIT_UNREACHABLE: Final = 3

#: Columns of a line where there is no terminal: rows stay whole for grep and cut.
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
    """Return the console on stdout: what was asked for, and nothing else."""
    return _console(stderr=False)


def narration() -> Console:
    """Return the console on stderr: progress, hints and errors."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else shutil.get_terminal_size((_PIPE_WIDTH, 0)).columns
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def safe(text: object, style: str = "") -> Text:
    """Return text that came from elsewhere, with nothing in it that a terminal would act on."""
    return Text(str(text).translate(_UNSAFE), style=style)


def print_json(value: Any) -> None:
    """Write ``value`` to stdout for machines."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def show_error(error: CallboardError) -> None:
    """Write one line to stderr, and one more for each part of the input that is wrong."""
    console = narration()
    console.print(Text("Error: ", style="bold red") + safe(error, "red"), soft_wrap=True)
    if isinstance(error, ProblemAnswer):
        for item in error.errors:
            console.print(
                Text("  ") + safe(item.pointer or "/", "bold") + Text("  ") + safe(item.detail), soft_wrap=True
            )


def exit_code(error: CallboardError) -> int:
    """Return what the process ends with after ``error``."""
    away = isinstance(error, ServerUnreachable) or (isinstance(error, ProblemAnswer) and error.status >= 500)
    return EXIT_UNREACHABLE if away else EXIT_REFUSED
