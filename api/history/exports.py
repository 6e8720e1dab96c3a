"""``GET /v1/history/export``: finished jobs as one streaming response, read from the database in pieces."""

from __future__ import annotations

from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

import anyio.to_thread
from fastapi import APIRouter, Query, Request, Response
from starlette.responses import StreamingResponse

from callboard.api.auth.caller import AsCaller
from callboard.api.auth.permission import Permission
from callboard.api.database.threads import DatabaseThreads
from callboard.api.history.formats import MEDIA_TYPES, ExportFormat, Writer, writer_of
from callboard.api.openapi import history_operations
from callboard.api.services import services_of
from callboard.api.wire.audit_actor import actor_of
from callboard.api.wire.filters import AsFilter
from callboard.api.wire.parameters import refused
from callboard.db.access.audit import write_audit
from callboard.db.reads.exports import COLUMNS, Piece, export_piece
from callboard.db.reads.job_filter import JobFilter

router = APIRouter(tags=["history"])

#: Jobs that are read, and at most held in memory, at a time; payloads and results may have a mebibyte each.
_PIECE: Final = 2000
_PIECE_WITH_CONTENT: Final = 50


class Include(StrEnum):
    """What an export leaves out otherwise."""

    PAYLOAD = "payload"
    RESULT = "result"


@router.get("/v1/history/export", operation_id="exportHistory", response_class=Response, **history_operations.EXPORT)
async def export(
    request: Request,
    job_filter: AsFilter,
    caller: AsCaller,
    *,
    format: Annotated[ExportFormat, Query(description="How rows are written.")] = ExportFormat.NDJSON,  # noqa: A002
    include: Annotated[list[Include], Query(description="Adds these columns; repeatable.")] = [],  # noqa: B006
    cursor: Annotated[
        UUID | None, Query(description="Go on after the job with this id: the last that arrived whole.")
    ] = None,
) -> Response:
    """Stream the finished jobs that fit, oldest first, in constant memory.

    An export that is cut off goes on with `cursor`, the id of the last row that arrived (CSV then has no header
    again). A Parquet file is whole or useless: export it in parts, by `created_after` and `created_before`.
    """
    if cursor is not None and format is ExportFormat.PARQUET:
        raise refused("cursor", "cannot resume a Parquet file; export it in parts, by created_after and created_before")
    extra = tuple(sorted({str(name) for name in include}))
    writer = writer_of(format, (*COLUMNS, *extra), resumed=cursor is not None)
    threads = services_of(request).threads
    if caller.sees_all:
        subject = f"{format}{''.join(f' with {name}' for name in extra)}: {request.scope['query_string'].decode()}"
        actor = actor_of(request, caller)
        await threads.run(lambda connection: write_audit(connection, actor, "history.export", subject=subject))
    pieces = _Pieces(threads, job_filter, extra)
    # Before the response begins: while the database is away it is a problem, not a broken file.
    first = await pieces.after(cursor)
    headers = {
        "Content-Disposition": f'attachment; filename="callboard-history.{format}"',
        "Cache-Control": "no-store",
    }
    permission = Permission(request, caller)
    return StreamingResponse(
        _stream(writer, first, pieces, permission), media_type=MEDIA_TYPES[format], headers=headers
    )


class _Pieces:
    """Reads the pieces of one export, each in a transaction of its own."""

    def __init__(self, threads: DatabaseThreads, job_filter: JobFilter | None, extra: tuple[str, ...]) -> None:
        self._threads = threads
        self._job_filter = job_filter
        self._extra = extra

    async def after(self, last: UUID | None) -> Piece:
        job_filter = self._job_filter
        if job_filter is None:
            return Piece([], None)
        scan_limit = _PIECE_WITH_CONTENT if self._extra else _PIECE
        return await self._threads.run(
            lambda connection: export_piece(
                connection, job_filter, after=last, scan_limit=scan_limit, extra=self._extra
            )
        )


async def _stream(writer: Writer, piece: Piece, pieces: _Pieces, permission: Permission) -> AsyncIterator[bytes]:
    while True:
        if block := await anyio.to_thread.run_sync(writer.write, piece.rows):
            yield block
        if piece.last is None:
            break
        # Raised in the middle of the response, it breaks the connection: the client learns that rows are missing.
        await permission.require()
        piece = await pieces.after(piece.last)
    if block := await anyio.to_thread.run_sync(writer.close):
        yield block
