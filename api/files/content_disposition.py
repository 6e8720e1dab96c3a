"""The Content-Disposition header (RFC 6266) of downloads."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

# Quotes, backslashes and % are read differently by different clients (RFC 6266, appendix D).
_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9 ._,+=@()\[\]{}~-]")
# RFC 8187, attr-char.
_UNQUOTED: Final = "!#$&+-.^_`|~"


def content_disposition(name: str) -> str:
    """Return the value with which a browser saves the file under ``name`` and never displays it."""
    plain = _NOT_PLAIN.sub("_", name)
    if plain == name:
        return f'attachment; filename="{name}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe=_UNQUOTED)}"
