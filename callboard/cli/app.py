"""The command ``callboard`` with all its subcommands, and its exit codes."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Annotated, Final

import typer

from callboard.cli.arguments import Commands
from callboard.cli.commands import (
    analysts,
    history,
    import_history,
    jobs,
    keys,
    retention,
    rollups,
    samples,
    servers,
    submit,
    system,
)
from callboard.cli.display.terminal import exit_code, show_error
from callboard.db.errors import CallboardError, ConfigurationError
from callboard.db.version import VERSION

#: What a write to stdout fails with where the device is full or broken. A closed pipe ends a command without a word.
_OUTPUT_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})

app = typer.Typer(
    name="callboard",
    cls=Commands,
    help="Durable jobs over HTTP. 'callboard up' starts everything on this machine. The commands for jobs talk to "
    "CALLBOARD_URL with CALLBOARD_API_KEY.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
servers.register(app)
submit.register(app)
system.register(app)
app.add_typer(jobs.app, name="jobs", rich_help_panel="Jobs")
app.add_typer(history.app, name="history", rich_help_panel="Jobs")
app.add_typer(keys.app, name="keys", rich_help_panel="Servers")
app.add_typer(retention.app, name="retention", rich_help_panel="Servers")
app.add_typer(rollups.app, name="rollups", rich_help_panel="Servers")
app.add_typer(analysts.app, name="analysts", rich_help_panel="Servers")
samples.register(app)
import_history.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"callboard {VERSION}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line and exit.

    Exit codes: 0 done; 1 a watched job did not succeed; 2 the usage, the settings or the request are not valid, or
    stdout cannot be written; 3 the server cannot be reached, or failed; 130 Ctrl-C ended the command.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal without UTF-8 shows question marks instead of an error.
            stream.reconfigure(errors="replace")
    for number, argument in enumerate(sys.argv[1:], 1):
        # An argument that is not UTF-8 arrives with surrogates, which nothing can send or print.
        if not argument.isascii() and any("\ud800" <= character <= "\udfff" for character in argument):
            show_error(ConfigurationError(f"Argument {number}, {argument!r}, is not UTF-8. Write it in UTF-8."))
            sys.exit(2)
    try:
        app(prog_name="callboard")
    except CallboardError as error:
        show_error(error)
        sys.exit(exit_code(error))
    except OSError as error:
        if error.errno not in _OUTPUT_ERRORS or error.filename is not None:
            raise
        show_error(ConfigurationError(f"stdout cannot be written: {error.strerror}."))
        # Python would write what is left in its buffer once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(2)
