"""Where a submission's payload comes from: the command line, a file, stdin, and uploaded files."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import typer
from pydantic_core import from_json
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from callboard.cli.display.terminal import narration

if TYPE_CHECKING:
    from callboard.client import Client, UploadedFile

#: Uploads from this size on take long enough to show their progress.
_SHOWN_UPLOAD_BYTES: Final = 4 * 2**20


def read_payload(source: str | None) -> Any:
    """Return the payload.

    Args:
        source: JSON, ``@FILE``, or ``-`` for stdin; None means ``{}``.

    Raises:
        typer.BadParameter: the source cannot be read, or is not JSON.
    """
    if source is None:
        return {}
    where, text = _read(source)
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise typer.BadParameter(f"{where} is not JSON: {error}.", param_hint="'--payload'") from error


@contextmanager
def opened_files(payload: Any, files: Sequence[tuple[str, str]]) -> Iterator[dict[str, BinaryIO]]:
    """Open the file of each ``(field, path)``; yield them by field. A wrong path is found before anything is sent.

    Raises:
        typer.BadParameter: a file cannot be read, or the payload has no room for it.
    """
    if files and not isinstance(payload, dict):
        raise typer.BadParameter("needs a payload that is a JSON object.", param_hint="'--file'")
    with ExitStack() as stack:
        opened: dict[str, BinaryIO] = {}
        for field, path in files:
            if field in payload or field in opened:
                raise typer.BadParameter(f"the payload has two values for {field!r}.", param_hint="'--file'")
            opened[field] = stack.enter_context(_open(Path(path)))
        yield opened


def upload_files(client: Client, opened: Mapping[str, BinaryIO]) -> dict[str, str]:
    """Upload the files and return their ids by field.

    Raises:
        ClientError: an upload failed.
    """
    return {field: str(_upload(client, content).id) for field, content in opened.items()}


def _read(source: str) -> tuple[str, str]:
    try:
        if source == "-":
            return "stdin", sys.stdin.read()
        if source.startswith("@"):
            return source[1:], Path(source[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{source} cannot be read: {_reason(error)}.", param_hint="'--payload'") from error
    return "it", source


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be read: {_reason(error)}.", param_hint="'--file'") from error


def _upload(client: Client, content: BinaryIO) -> UploadedFile:
    name = Path(content.name).name
    with _shown(content, name) as shown:
        return client.upload(shown, name=name)


@contextmanager
def _shown(content: BinaryIO, name: str) -> Iterator[BinaryIO]:
    """Yield ``content``; on a terminal, reading a large file moves a progress bar."""
    console = narration()
    size = Path(content.name).stat().st_size
    if size < _SHOWN_UPLOAD_BYTES or not console.is_terminal:
        yield content
        return
    columns = (TextColumn("Uploading {task.description}"), BarColumn(24), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console) as progress:
        yield progress.wrap_file(content, size, description=name)


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror or str(error)
