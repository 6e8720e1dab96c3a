"""Page tokens: the position after a page of a list. Opaque to clients."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final
from uuid import UUID

from callboard.db.errors import FieldError, InvalidInput

#: Bytes of the checksum.
_CHECKSUM: Final = 4


def page_token(last: UUID) -> str:
    """Return the token of the page after the item with the id ``last``."""
    return base64.urlsafe_b64encode(last.bytes + _checksum(last.bytes)).decode().rstrip("=")


def read_page_token(token: str) -> UUID:
    """Return the id of the item after which the page begins.

    Raises:
        InvalidInput: the text is not a page token.
    """
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 16 + _CHECKSUM or _checksum(raw[:16]) != raw[16:]:
        detail = "This is no page token. Take next_page_token from the page before, or leave it out for the first page."
        raise InvalidInput(detail, [FieldError("not a page token", "/query/page_token")])
    return UUID(bytes=raw[:16])


def _checksum(raw: bytes) -> bytes:
    # Detects tokens that were cut off or made up. No signature: a token gives access to nothing.
    return hashlib.sha256(b"page" + raw).digest()[:_CHECKSUM]
