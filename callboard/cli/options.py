"""Options that several commands share, and the client that they use."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import typer

from callboard.cli.display.terminal import error_text, narration, safe
from callboard.db.errors import ConfigurationError
from callboard.db.settings import load_settings

if TYPE_CHECKING:  # commands that send no requests start quickly, so connect() imports the client
    from callboard.client import Client, ClientError

JobId = Annotated[UUID, typer.Argument(metavar="ID", help="The job's id.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]

#: Seconds of silence after which a request fails. The summary of a long history takes a while.
_TIMEOUT: Final = 60.0
#: Seconds for which a command outlasts an outage of the server.
RETRY_FOR: Final = 15.0


def connect() -> Client:
    """Return a client for the server that the environment names. Use the client as a context manager.

    The client tells the user of an outage, and sends its requests again for :data:`RETRY_FOR` seconds. An address at
    which no server answers is an error at once.

    Raises:
        ConfigurationError: a setting is not valid.
    """
    from callboard.client import Client

    settings = load_settings()
    key = settings.api_key.get_secret_value() if settings.api_key else None
    try:
        return Client(settings.url, api_key=key, timeout=_TIMEOUT, retry_for=RETRY_FOR, on_outage=_on_outage)
    except ConfigurationError as error:
        error.add_note("The command line takes the URL from CALLBOARD_URL and the API key from CALLBOARD_API_KEY.")
        raise


def key_and_value(text: str, *, option: str, form: str) -> tuple[str, str]:
    """Split ``key=value``.

    Args:
        text: to split.
        option: that the text was given to.
        form: that the error says was expected, such as ``KEY=VALUE``.

    Raises:
        typer.BadParameter: ``text`` has no ``=``, or nothing before it.
    """
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise typer.BadParameter(f"{text!r} is not of the form {form}.", param_hint=f"'{option}'")
    return key, value


def time_of(text: str | None, *, option: str) -> datetime | None:
    """Return a time, local unless it names an offset; None for None.

    Args:
        text: in ISO 8601, such as ``2030-01-31T09:00``.
        option: that the text was given to.

    Raises:
        typer.BadParameter: the text is not a time, or local clocks never show it.
    """
    if text is None:
        return None
    hint = f"'{option}'"
    try:
        given = datetime.fromisoformat(text)
        moment = given.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(
            f"{text!r} is not a time such as 2030-01-31T09:00 or 2030-01-31T09:00:00Z.", param_hint=hint
        ) from error
    if given.tzinfo is None and moment.astimezone().replace(tzinfo=None) != given:
        raise typer.BadParameter(
            f"{text!r} does not exist in the local time zone, whose clocks go forward over it. "
            f"Write it with an offset, such as {text}Z.",
            param_hint=hint,
        )
    return moment


def tags_of(texts: Sequence[str] | None) -> dict[str, str] | None:
    """Return the tags that the occurrences of ``--tag`` give, or None for no tags.

    Raises:
        typer.BadParameter: a text is not ``KEY=VALUE``, or a key has two values.
    """
    tags: dict[str, str] = {}
    for text in texts or ():
        key, value = key_and_value(text, option="--tag", form="KEY=VALUE")
        if tags.setdefault(key, value) != value:
            raise typer.BadParameter(f"{key!r} has two values, {tags[key]!r} and {value!r}.", param_hint="'--tag'")
    return tags or None


def _on_outage(error: ClientError) -> None:
    from callboard.client import ServerUnreachable

    if isinstance(error, ServerUnreachable) and not error.sent:
        # More likely a wrong address than an outage, and the command has done nothing yet.
        raise error
    narration().print(safe(f"{error_text(error)}\nTrying again for {RETRY_FOR:.0f} seconds.", "yellow"), soft_wrap=True)
