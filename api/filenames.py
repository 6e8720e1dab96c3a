"""Names that clients give to files: made safe to store, and to send back in a header."""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import quote

_NAMELESS: Final = "file"
# What common file systems take, so that a download can be saved under the same name.
_MOST_BYTES: Final = 255
# Quotes, backslashes and % are read differently by different clients (RFC 6266, appendix D).
_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9 ._,+=@()\[\]{}~-]")
# RFC 8187, attr-char.
_UNQUOTED: Final = "!#$&+-.^_`|~"


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
    room = _MOST_BYTES - len(ending.encode())
    return clean.removesuffix(ending).encode()[:room].decode(errors="ignore") + ending


def content_disposition(name: str) -> str:
    """Return the header that has a browser save the file under ``name``, never show it (RFC 6266)."""
    plain = _NOT_PLAIN.sub("_", name)
    if plain == name:
        return f'attachment; filename="{name}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe=_UNQUOTED)}"
