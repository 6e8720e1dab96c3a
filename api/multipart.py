"""One file out of a ``multipart/form-data`` body (RFC 7578), while it arrives.

Starlette's own form parser writes each file to a temporary one before the endpoint runs: every byte goes to disk twice,
and a limit is noticed only when all has come. Here the blocks are handed on as they come.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from api.filenames import safe_name
from db.errors import FieldError, InvalidInput

_BLOCK: Final = 2**20
# RFC 6838 gives each half of a media type 127 characters; parameters go with it when they are plain.
_MEDIA_TYPE: Final = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}(\s*;\s*[\w-]{1,40}=[\w.+-]{1,60}){0,3}", re.ASCII)
_ANY_MEDIA_TYPE: Final = "application/octet-stream"


@dataclass(slots=True)
class _Part:
    """The headers of one part."""

    headers: dict[str, str] = field(default_factory=dict)
    ended: bool = False


class FilePart:
    """The part ``file`` of a body. ``name`` and ``media_type`` are safe to store; read :meth:`blocks` once."""

    def __init__(self, content_type: str, body: AsyncIterator[bytes]) -> None:
        pass
