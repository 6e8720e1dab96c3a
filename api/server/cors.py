"""Which web pages of other origins may call the API: none, unless a setting names them."""

from __future__ import annotations

from typing import Final

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from callboard.db.settings import Settings

_METHODS: Final = ("GET", "HEAD", "POST", "PATCH", "DELETE")
_TAKEN: Final = (
    "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "If-Range", "Last-Event-ID",
    "Prefer", "Range", "X-Request-ID",
)  # fmt: skip
#: What a page may read of an answer beside the few that it always may.
_SHOWN: Final = (
    "Accept-Ranges", "Content-Disposition", "Content-Range", "ETag", "Idempotency-Replayed", "Link", "Location",
    "Preference-Applied", "RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate", "X-Request-ID",
)  # fmt: skip


def cors(settings: Settings) -> list[Middleware]:
    """Return the middleware that lets pages of the origins in the settings in; none where there are none.

    It goes around all others, so that pages can read problems too. Credentials are keys in a header, never cookies.
    """
    if not settings.cors_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=_METHODS,
            allow_headers=_TAKEN,
            expose_headers=_SHOWN,
            allow_credentials=False,
        )
    ]
