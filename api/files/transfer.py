"""``/v1/files``: upload, download and delete files that payloads name as ``{"file": "<id>"}``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterable
from typing import Final

import anyio.to_thread
from fastapi import APIRouter, HTTPException, Request, Response
from sqlalchemy import Connection
from starlette.concurrency import iterate_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from callboard.api.auth.caller import AsCaller, Caller, current_caller
from callboard.api.auth.permission import Permission
from callboard.api.files.content_disposition import content_disposition
from callboard.api.files.multipart import read_file_part
from callboard.api.files.ranges import ByteRange, RangeNotSatisfiable, parse_range
from callboard.api.limits.uploads import StoredBytes
from callboard.api.openapi import file_operations
from callboard.api.openapi.models import UploadedFile
from callboard.api.services import services_of
from callboard.api.wire.audit_actor import actor_of
from callboard.api.wire.etags import matches
from callboard.api.wire.parameters import HEADERS_ONLY, uuid_of
from callboard.db.access.audit import write_audit
from callboard.db.errors import NotFound, TooLarge
from callboard.db.files.rows import (
    File,
    delete_bytes,
    delete_file,
    get_file,
    insert_file_within,
    stored_bytes_of,
)
from callboard.db.rules.ids import new_id

router = APIRouter(tags=["files"])

#: Most bytes that a multipart body has around its file.
_ENVELOPE: Final = 2**16


@router.post("/v1/files", operation_id="uploadFile", **file_operations.UPLOAD_FILE)
async def upload_file(request: Request, response: Response, caller: AsCaller) -> UploadedFile:
    """Upload one file, as `multipart/form-data` with the one field `file`. It is stored as it arrives."""
    caller.require_submission()
    services = services_of(request)
    _refuse_too_large(request, services.settings.max_file_bytes)
    most = services.settings.max_stored_bytes
    used = await services.threads.run(lambda connection: stored_bytes_of(connection, caller.owner)) if most else 0
    quota = StoredBytes(most, used)
    part = await read_file_part(request.headers.get("content-type", ""), request.stream())
    file_id = new_id()
    stored = await services.uploads.store(file_id, part.blocks, share=caller.share, quota=quota)
    # It may have taken hours, and the key may have been revoked. Bytes without a row are deleted later.
    caller = await current_caller(request)
    caller.require_submission()
    file = File(file_id, caller.owner, part.name, stored.size, stored.sha256, part.media_type)
    # If this fails it may have been committed all the same, so the bytes stay.
    if not await services.threads.run(lambda connection: insert_file_within(connection, file, most=most)):
        await anyio.to_thread.run_sync(delete_bytes, services.storage, [file_id])
        raise quota.exceeded()
    response.headers["Location"] = f"/v1/files/{file.id}"
    return UploadedFile(
        id=file.id, name=file.name, size=file.size, sha256=file.sha256.hex(), media_type=file.media_type
    )


@router.get(
    "/v1/files/{file_id}", operation_id="downloadFile", response_class=Response, **file_operations.DOWNLOAD_FILE
)
async def download_file(request: Request, caller: AsCaller) -> Response:
    """Download a file, or one range of it (`Range`, with `If-Range` where wanted)."""
    file = await _visible_file(request, caller)
    headers = _headers(file)
    if matches(request.headers.get("if-none-match", ""), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    if file.owner != caller.owner:
        await _record_download(request, caller, file)
    part = _requested_range(request, file, headers["ETag"])
    status = 200 if part is None else 206
    if part is None:
        part = ByteRange(0, file.size)
    else:
        headers["Content-Range"] = part.content_range(file.size)
    headers["Content-Length"] = str(part.stop - part.start)
    if request.scope.get(HEADERS_ONLY):
        return Response(status_code=status, headers=headers)
    blocks = await anyio.to_thread.run_sync(services_of(request).storage.read, file.id, part.start, part.stop)
    return _Download(blocks, Permission(request, caller), status, headers)


@router.delete("/v1/files/{file_id}", operation_id="deleteFile", **file_operations.DELETE_FILE)
async def remove_file(request: Request, caller: AsCaller) -> None:
    """Delete a file. Jobs that name it and have not opened it yet will fail."""
    services = services_of(request)
    file = await _visible_file(request, caller)
    caller.require_action_on(file.owner)

    def change(connection: Connection) -> None:
        delete_file(connection, file.id, owner=file.owner)
        write_audit(connection, actor_of(request, caller), "file.delete", subject=_subject(file))

    await services.threads.run(change)
    await anyio.to_thread.run_sync(delete_bytes, services.storage, [file.id])


class _Download(StreamingResponse):
    """A streaming response that closes its file when the client disconnects, too."""

    def __init__(
        self, blocks: Generator[bytes, None, None], permission: Permission, status: int, headers: dict[str, str]
    ) -> None:
        super().__init__(_while_permitted(blocks, permission), status, headers)
        self._blocks = blocks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._blocks.close()


async def _while_permitted(blocks: Iterable[bytes], permission: Permission) -> AsyncIterator[bytes]:
    async for block in iterate_in_threadpool(blocks):
        # Raised in the middle of the response, it breaks the connection.
        await permission.require()
        yield block


async def _visible_file(request: Request, caller: Caller) -> File:
    text: str = request.path_params["file_id"]
    file_id = uuid_of(text)
    if file_id is None:
        raise NotFound(f"There is no file {text[:50]!r}.")

    def read(connection: Connection) -> File:
        return get_file(connection, file_id, owner=None if caller.sees_all else caller.owner)

    return await services_of(request).threads.run(read)


async def _record_download(request: Request, caller: Caller, file: File) -> None:
    actor = actor_of(request, caller)
    await services_of(request).threads.run(
        lambda connection: write_audit(connection, actor, "file.download", subject=_subject(file))
    )


def _subject(file: File) -> str:
    return f"{file.id} of {file.owner}"


def _headers(file: File) -> dict[str, str]:
    return {
        "ETag": f'"{file.sha256.hex()}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Type": file.media_type,
        "Content-Disposition": content_disposition(file.name),
        # An uploaded file must never run as a page of this origin.
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }


def _requested_range(request: Request, file: File, etag: str) -> ByteRange | None:
    """Return the range to send; None for the whole file, as when If-Range has another tag than the present one."""
    header = request.headers.get("range")
    if header is None or request.headers.get("if-range", etag) != etag:
        return None
    try:
        return parse_range(header, file.size)
    except RangeNotSatisfiable:
        raise HTTPException(
            416,
            f"The file has {file.size:,} bytes, none of them in the range {header[:100]!r}.",
            {"Content-Range": f"bytes */{file.size}"},
        ) from None


def _refuse_too_large(request: Request, limit: int) -> None:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > limit + _ENVELOPE:
        raise TooLarge(f"The file is larger than {limit:,} bytes; CALLBOARD_MAX_FILE_BYTES sets the limit.")
