"""Reads the one file of a ``multipart/form-data`` body (RFC 7578) while the body arrives.

Starlette's form parser writes each file to a temporary one before the endpoint runs: every byte goes to disk twice, and
a limit is noticed only when all of it has come. Here each block is passed on as it comes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from callboard.db.errors import FieldError, InvalidInput
from callboard.db.rules.filenames import safe_media_type, safe_name
from callboard.db.rules.pointers import pointer

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_FIELD: Final = "file"
_HOW: Final = "Send multipart/form-data with the one field 'file', as 'curl -F file=@PATH' does."
_BLOCK: Final = 2**20


@dataclass(frozen=True, slots=True)
class FilePart:
    """The file in a body. ``name`` and ``media_type`` are safe to store and to send back."""

    name: str
    media_type: str
    blocks: AsyncIterator[bytes]
    """The content in blocks of about 1 MiB, which can be read once.

    Raises InvalidInput where the rest of the body is invalid: only after the last block is it known that the file is
    complete and the only one.
    """


async def read_file_part(content_type: str, body: AsyncIterator[bytes]) -> FilePart:
    """Read a body up to the content of its field ``file``.

    Args:
        content_type: of the request.
        body: its chunks.

    Raises:
        InvalidInput: the body is not multipart, or its first field is not a file with a name.
    """
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise InvalidInput(f"The body is not multipart/form-data with a boundary. {_HOW}")
    events = _events(boundary, body)
    headers = await anext(events, None)
    if not isinstance(headers, dict):
        raise InvalidInput(f"The body has no field. {_HOW}", [FieldError("missing", f"/{_FIELD}")])
    disposition = _options(headers.get("content-disposition", b""))
    _check_name(disposition)
    filename = disposition.get("filename", "")
    if not filename:
        raise InvalidInput(
            f"The field 'file' has no file name, so it is not a file. {_HOW}", [FieldError("not a file", f"/{_FIELD}")]
        )
    media_type = headers.get("content-type", b"").decode("latin-1").strip()
    return FilePart(
        name=safe_name(filename),
        media_type=safe_media_type(media_type),
        blocks=_content(events),
    )


def _check_name(disposition: dict[str, str]) -> None:
    name = disposition.get("name", "")
    if name != _FIELD:
        raise InvalidInput(
            f"The body has a field {name[:100]!r}. {_HOW}", [FieldError("unknown field", pointer([name[:100]]))]
        )


async def _content(events: AsyncIterator[dict[str, bytes] | bytes]) -> AsyncIterator[bytes]:
    block = bytearray()
    async for event in events:
        if isinstance(event, dict):
            _check_name(_options(event.get("content-disposition", b"")))
            raise InvalidInput(f"The body has two files. {_HOW}", [FieldError("given twice", f"/{_FIELD}")])
        block += event
        if len(block) >= _BLOCK:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


def _options(disposition: bytes) -> dict[str, str]:
    """Return the parameters of a Content-Disposition, which browsers send as UTF-8 (RFC 7578, section 5.1)."""
    _, options = parse_options_header(disposition)
    return {key.decode("latin-1"): _text(value) for key, value in options.items()}


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


async def _events(boundary: bytes, body: AsyncIterator[bytes]) -> AsyncIterator[dict[str, bytes] | bytes]:
    """Yield, for each part, its headers (names in lower case) and then its content in pieces.

    Raises:
        InvalidInput: the body is malformed or ends too early.
    """
    collector = _Collector()
    try:
        parser = MultipartParser(boundary, collector.callbacks())
        async for chunk in body:
            parser.write(chunk)
            for event in collector.events:
                yield event
            collector.events.clear()
    except FormParserError as error:
        raise InvalidInput(f"The body is not valid multipart/form-data: {error}.") from error
    if not collector.ended:
        raise InvalidInput("The body ends before its closing boundary: the upload is not whole. Send it again.")


class _Collector:
    """Collects the parser's events; :func:`_events` removes them after each chunk."""

    def __init__(self) -> None:
        self.events: list[dict[str, bytes] | bytes] = []
        self.ended = False
        self._headers: dict[str, bytes] = {}
        self._name = b""
        self._value = b""

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin_part,
            "on_header_begin": self._begin_header,
            "on_header_field": self._add_to_name,
            "on_header_value": self._add_to_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._add_data,
            "on_end": self._end,
        }

    def _begin_part(self) -> None:
        self._headers = {}

    def _begin_header(self) -> None:
        self._name = self._value = b""

    def _add_to_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._name.decode("latin-1").lower()] = self._value

    def _end_headers(self) -> None:
        self.events.append(self._headers)

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        self.events.append(data[start:end])

    def _end(self) -> None:
        self.ended = True
