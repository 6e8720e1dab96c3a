"""``/callboard.js`` and the files beside it: the JavaScript client, which pages import from the server itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Request, Response

from callboard.api.wire.etags import matches

_MEDIA_TYPES: Final[Mapping[str, str]] = {
    "callboard.js": "text/javascript",
    "callboard.d.ts": "text/plain",
    "use-async-job.js": "text/javascript",
    "use-async-job.d.ts": "text/plain",
}
#: A browser uses its copy for an hour, then revalidates it: clients and servers of neighbouring versions understand
#: each other.
_CACHE_CONTROL: Final = "public, max-age=3600"
_NOT_MODIFIED: Final = 304


@dataclass(frozen=True, slots=True)
class _Module:
    content: bytes
    media_type: str
    etag: str


async def _serve(request: Request) -> Response:
    module = _modules()[request.url.path.rpartition("/")[2]]
    headers = {"ETag": module.etag, "Cache-Control": _CACHE_CONTROL, "Cross-Origin-Resource-Policy": "cross-origin"}
    if matches(request.headers.get("if-none-match", ""), module.etag):
        return Response(status_code=_NOT_MODIFIED, headers=headers)
    return Response(module.content, headers=headers, media_type=module.media_type)


@cache
def _modules() -> Mapping[str, _Module]:
    # By the name of the distribution: this layer must not import the package that has these files.
    directory = files("callboard") / "js"
    return {
        name: _Module(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
        for name, media_type in _MEDIA_TYPES.items()
        for content in [(directory / name).read_bytes()]
    }


router = APIRouter()
for _name in _MEDIA_TYPES:
    router.add_api_route(f"/{_name}", _serve, methods=["GET"], include_in_schema=False)
