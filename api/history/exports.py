"""``GET /v1/history/export``: finished jobs as one long answer, made as it is read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

import anyio.to_thread
from fastapi import APIRouter, Query, Request, Response
from starlette.responses import StreamingResponse

from callboard.api.database.threads import DatabaseThreads
from callboard.api.history.formats import MEDIA_TYPES, ExportFormat, Writer, writer_of
from callboard.api.openapi import history_operations
from callboard.api.services import services_of
from callboard.api.wire.filters import AsFilter
from callboard.api.wire.parameters import refused
from callboard.db.reads.exports import COLUMNS, Piece, export_piece
from callboard.db.reads.job_filter import JobFilter

router = APIRouter(tags=["history"])

#: Jobs that are looked at, and at most held, at a time; payloads and results may have a mebibyte each.
_AT_ONCE: Final = 2000
_LARGE_AT_ONCE: Final = 50


class Include(StrEnum):
    """What an export leaves out otherwise."""

    PAYLOAD = "payload"
    RESULT = "result"


@router.get("/v1/history/export", operation_id="exportHistory", response_class=Response, **history_operations.EXPORT)
async def export(
    request: Request,
    wanted: AsFilter,
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
    pieces = _Pieces(services_of(request).threads, wanted, extra)
    # Before anything is answered, so that a database that is away is a problem and no broken file.
    first = await pieces.after(cursor)
    headers = {
        "Content-Disposition": f'attachment; filename="callboard-history.{format}"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(_stream(writer, first, pieces), media_type=MEDIA_TYPES[format], headers=headers)


class _Pieces:
    """The pieces of one export; between two of them nothing is held in the database."""

    def __init__(self, threads: DatabaseThreads, wanted: JobFilter | None, extra: tuple[str, ...]) -> None:
        self._threads = threads
        self._wanted = wanted
        self._extra = extra

    async def after(self, last: UUID | None) -> Piece:
        wanted = self._wanted
        if wanted is None:
            return Piece([], None)
        looked_at = _LARGE_AT_ONCE if self._extra else _AT_ONCE
        return await self._threads.run(
            lambda connection: export_piece(connection, wanted, after=last, looked_at=looked_at, extra=self._extra)
        )


async def _stream(writer: Writer, piece: Piece, pieces: _Pieces) -> AsyncIterator[bytes]:
    while True:
        if block := await anyio.to_thread.run_sync(writer.write, piece.rows):
            yield block
        if piece.last is None:
            break
        piece = await pieces.after(piece.last)
    if block := await anyio.to_thread.run_sync(writer.close):
        yield block
