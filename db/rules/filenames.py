"""Sanitizes names and media types of uploaded files. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_NAMELESS: Final = "file"
# The limit of common file systems: a download can be saved under the same name.
_MOST_BYTES: Final = 255
# RFC 6838 gives each half 127 characters. Parameters are kept while they are plain.
_MEDIA_TYPE: Final = re.compile(
    r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}(?:; ?[\w-]{1,40}=[\w.+-]{1,60}){0,3}", re.ASCII
)
_ANY_MEDIA_TYPE: Final = "application/octet-stream"


def safe_name(name: str) -> str:
    """Return the last part of a name that may be a path, without control and formatting characters, never empty.

    At most 255 bytes in UTF-8; a short extension is kept when the rest is cut.
    """
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    # Categories C*: control, format (such as the marks that reverse text and hide an extension), surrogates.
    clean = "".join(char for char in last if unicodedata.category(char)[0] != "C").strip()
    if clean.strip(".") == "":
        return _NAMELESS
    stem, dot, extension = clean.rpartition(".")
    ending = f"{dot}{extension}" if stem and len(extension) <= 16 else ""
    length = _MOST_BYTES - len(ending.encode())
    return clean.removesuffix(ending).encode()[:length].decode(errors="ignore") + ending


def safe_media_type(text: str) -> str:
    """Return ``text`` in lower case; ``application/octet-stream`` where it is no media type."""
    return text.lower() if _MEDIA_TYPE.fullmatch(text) else _ANY_MEDIA_TYPE
