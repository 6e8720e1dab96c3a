"""Page tokens: where a list goes on. Opaque to clients."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final
from uuid import UUID

from callboard.db.errors import FieldError, InvalidInput

_CHECK: Final = 4


def page_token(last: UUID) -> str:
    """Return the token of the page after the job ``last``."""
    return base64.urlsafe_b64encode(last.bytes + _check(last.bytes)).decode().rstrip("=")


def read_page_token(token: str) -> UUID:
    """Return the job after which the page begins.

    Raises:
        InvalidInput: this is no page token.
    """
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 16 + _CHECK or _check(raw[:16]) != raw[16:]:
        detail = "This is no page token. Take next_page_token from the page before, or leave it out for the first page."
        raise InvalidInput(detail, [FieldError("not a page token", "/query/page_token")])
    return UUID(bytes=raw[:16])


def _check(raw: bytes) -> bytes:
    # Catches tokens that were cut off or made up. It is no secret: a token gives access to nothing.
    return hashlib.sha256(b"page" + raw).digest()[:_CHECK]
