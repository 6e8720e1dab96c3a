"""Converts an upload to text that the engine can read: UTF-8, lines that end with a line feed, no NUL characters."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from callboard.actors.jobs.table.models import Encoding
from callboard.actors.jobs.table.progress import Progress

_BLOCK: Final = 512 * 1024
"""Bytes read at a time: also the distance between two progress reports."""

_SIGNATURES: Final = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "compressed with gzip",
    b"\x28\xb5\x2f\xfd": "compressed with Zstandard",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF document",
}


class BrokenTable(ValueError):
    """The file is not a table as described. The message has the line and the problem. A retry would fail alike."""


@dataclass(frozen=True, slots=True)
class Source:
    """A table file that was checked to be text."""

    path: Path
    """A copy in UTF-8, without a byte order mark, in which every line ends with a line feed."""
    encoding: Encoding
    """Of the upload."""
    bytes: int
    """Size of the upload."""


def copy_as_text(path: Path, encoding: Encoding | None, scratch: Path, progress: Progress) -> Source:
    """Copy an upload, converted to UTF-8, into the folder ``scratch``.

    Args:
        path: the upload.
        encoding: its encoding; None for that of its byte order mark, or UTF-8.
        scratch: a folder with space for the copy.
        progress: called after each block; an exception ends the work.

    Raises:
        BrokenTable: the file is empty, or not text in that encoding.
    """
    size = path.stat().st_size
    watch = progress.watch("checking", lambda share: f"{round(share * size):,} of {size:,} bytes checked")
    with path.open("rb") as file:
        beginning = file.read(16)
    if not beginning:
        raise BrokenTable("The file is empty (0 bytes).")
    for signature, kind in _SIGNATURES.items():
        if beginning.startswith(signature):
            raise BrokenTable(f"The file is {kind}, not a table in text form. Export it as CSV and upload that.")
    if encoding is None:
        encoding = "utf-16" if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8"
    copy = scratch / "table.csv"
    last = ""
    with copy.open("w", encoding="utf-8", newline="") as target:
        for text, read in _blocks(path, encoding):
            target.write(text)
            last = text[-1:] or last
            watch(read / size)
        if last != "\n":
            target.write("\n")
    return Source(copy, encoding, size)


def _blocks(path: Path, encoding: Encoding) -> Iterator[tuple[str, int]]:
    """Yield the text in blocks, with line feeds as line ends; with each block, the bytes read so far."""
    codec = "utf-8-sig" if encoding == "utf-8" else encoding
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(codec)(), translate=True)
    lines = read = 0
    with path.open("rb") as file:
        while True:
            data = file.read(_BLOCK)
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                raise _undecodable(error, encoding, lines) from None
            if "\0" in text:
                raise _not_text(encoding, lines + 1 + text.count("\n", 0, text.index("\0")))
            lines += text.count("\n")
            read += len(data)
            yield text, read
            if not data:
                return


def _undecodable(error: UnicodeDecodeError, encoding: Encoding, lines_before: int) -> BrokenTable:
    before = error.object[: error.start].decode(error.encoding, "ignore")
    line = lines_before + 1 + before.replace("\r\n", "\n").replace("\r", "\n").count("\n")
    return BrokenTable(
        f"Line {line} holds the byte 0x{error.object[error.start]:02x}, which is not valid in {encoding}. "
        'If the file is in another encoding, say in which, such as "encoding": "windows-1252".'
    )


def _not_text(encoding: Encoding, line: int) -> BrokenTable:
    hint = ' If it is UTF-16, say so: "encoding": "utf-16".' if encoding == "utf-8" else ""
    return BrokenTable(f"Line {line} holds a NUL character, so the file is not text in {encoding}.{hint}")
