"""Names of files in the header that has them saved."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

# Quotes, backslashes and % are read differently by different clients (RFC 6266, appendix D).
_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9 ._,+=@()\[\]{}~-]")
# RFC 8187, attr-char.
_UNQUOTED: Final = "!#$&+-.^_`|~"


def content_disposition(name: str) -> str:
    """Return the header that has a browser save the file under ``name``, never show it (RFC 6266)."""
    plain = _NOT_PLAIN.sub("_", name)
    if plain == name:
        return f'attachment; filename="{name}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe=_UNQUOTED)}"
