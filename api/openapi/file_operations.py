"""OpenAPI of ``/v1/files``: responses, parameters and bodies. The endpoints have the descriptions."""

from __future__ import annotations

from typing import Final

from callboard.api.errors import QuotaExceeded
from callboard.api.openapi import examples, models
from callboard.api.openapi.headers import header
from callboard.api.openapi.parts import Document, links_by, operation, response
from callboard.api.wire.parameters import documented
from callboard.db.errors import InvalidInput, StorageFull

_STRING: Final[Document] = {"type": "string"}
_FILE_ID: Final = documented("file_id", {"type": "string", "format": "uuid"}, "The file.", where="path")
# The response has the media type of the upload; generators of clients need one by name.
_BYTES: Final[Document] = {"schema": {"type": "string", "format": "binary"}}
_CONTENT: Final[Document] = {"application/octet-stream": _BYTES, "*/*": _BYTES}
_NO_RANGE: Final = 416
_TOO_SLOW: Final = 408

_ETAG: Final = header("SHA-256 of the file.", required=True, example=examples.FILE_ETAG)
_DESCRIPTION: Final = {
    "ETag": _ETAG,
    "Accept-Ranges": header("Ranges may be asked for.", required=True, enum=["bytes"]),
    "Content-Disposition": header(
        "The name of the file.", required=True, example='attachment; filename="quarter.xlsx"'
    ),
}
_RANGE: Final = header("The range, and the size of the file.", required=True, pattern=r"^bytes \d+-\d+/\d+$")

UPLOAD_FILE: Final = operation(
    {
        201: response(
            models.UploadedFile,
            "Stored.",
            sent={"Location": header("The file.", required=True, pattern="^/v1/files/")},
            links=links_by("file_id", "$response.body#/id", "downloadFile", "deleteFile"),
        )
    },
    problems=(InvalidInput.code, QuotaExceeded.code, StorageFull.code, _TOO_SLOW),
    body={
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "additionalProperties": False,
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    },
)
DOWNLOAD_FILE: Final = operation(
    {
        200: {"description": "The file.", "content": _CONTENT, "headers": _DESCRIPTION},
        206: {
            "description": "The range.",
            "content": _CONTENT,
            "headers": {**_DESCRIPTION, "Content-Range": _RANGE},
        },
        304: {"description": "Not changed.", "headers": {"ETag": _ETAG}},
    },
    problems=[_NO_RANGE],
    parameters=[
        _FILE_ID,
        documented("Range", _STRING, "bytes=FIRST-LAST, bytes=FIRST- or bytes=-COUNT.", where="header"),
        documented("If-Range", _STRING, "ETag without which the range is not wanted.", where="header"),
        documented("If-None-Match", _STRING, "ETag of what is there already.", where="header"),
    ],
)
DELETE_FILE: Final = operation({204: {"description": "Deleted."}}, parameters=[_FILE_ID])
