"""Uploaded files in an S3-compatible bucket.

obstore's blocking calls are used, not its ``async`` ones: those leave a multipart upload behind when the awaiting task
is cancelled, and abort the interpreter when it exits soon after one. They also keep hashing off the event loop.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from callboard.db.errors import ConfigurationError, NotFound, Unavailable
from callboard.db.files.storage.base import Metered, Storage, Stored, StoredObject, copy_to

_READ: Final = 4 * 2**20
_PART: Final = 8 * 2**20
_PARTS_AT_ONCE: Final = 4
# S3's limit on the parts of one upload.
_MOST_PARTS: Final = 10_000
# No request moves more than a part or a read, so this bounds a stall, not a file.
_REQUEST_TIMEOUT: Final = timedelta(seconds=30)
_RETRY_FOR: Final = timedelta(seconds=15)


class BucketStorage(Storage):
    """One object each, its key the file's id below the prefix.

    Endpoint, region and credentials come from the usual ``AWS_*`` variables, which obstore reads. A process killed in
    the middle of an upload leaves its parts: a lifecycle rule that aborts incomplete uploads removes them.
    """

    def __init__(self, bucket: str, prefix: str, *, max_bytes: int, connect_timeout: float) -> None:
        """``max_bytes`` is the largest file that is taken, ``connect_timeout`` seconds.

        Raises:
            ConfigurationError: an ``AWS_*`` variable or the bucket's name does not fit.
        """
        self._bucket = bucket
        self._max_bytes = max_bytes
        self._part_bytes = max(_PART, -(-max_bytes // _MOST_PARTS))
        try:
            self._store = S3Store(
                bucket,
                prefix=prefix or None,
                # Not every S3-compatible server has the bulk call, and here one file goes at a time.
                disable_bulk_delete=True,
                # Plain HTTP is used only where the endpoint's URL says so.
                client_options={
                    "allow_http": True,
                    "connect_timeout": timedelta(seconds=connect_timeout),
                    "timeout": _REQUEST_TIMEOUT,
                },
                retry_config={"max_retries": 5, "retry_timeout": _RETRY_FOR},
            )
        except (BaseError, ValueError) as error:
            raise ConfigurationError(
                f"The bucket {bucket!r} cannot be used: {_reason(error)}. Check the AWS_* variables."
            ) from None

    def put(self, file_id: UUID, blocks: Iterable[bytes]) -> Stored:
        metered = Metered(blocks, self._max_bytes)
        with self._errors_named():
            obstore.put(
                self._store,
                str(file_id),
                iter(metered),
                chunk_size=self._part_bytes,
                max_concurrency=_PARTS_AT_ONCE,
            )
        return metered.stored

    def read(self, file_id: UUID, start: int, stop: int) -> Generator[bytes, None, None]:
        blocks = self._blocks(file_id, start, stop)
        first = next(blocks, None)
        return _chain(first, blocks) if first is not None else blocks

    def _blocks(self, file_id: UUID, start: int, stop: int) -> Generator[bytes, None, None]:
        # A request for each block, instead of one that stays open for as long as the slowest reader takes.
        for at in range(start, stop, _READ):
            with self._errors_named(file_id):
                block = obstore.get_range(self._store, str(file_id), start=at, end=min(at + _READ, stop))
            yield block.to_bytes()

    def open_local(self, file_id: UUID, into: Path) -> Path:
        local = into / str(file_id)
        if local.exists():
            return local
        with self._errors_named(file_id):
            # Not a HEAD: its response has no body that distinguishes a missing bucket from a missing file.
            size = obstore.get(self._store, str(file_id)).meta["size"]
        return copy_to(local, self._blocks(file_id, 0, size))

    def delete(self, file_id: UUID) -> None:
        with self._errors_named():
            obstore.delete(self._store, str(file_id))

    def objects(self) -> Iterator[StoredObject]:
        with self._errors_named():
            for page in obstore.list(self._store):
                for item in page:
                    try:
                        file_id = UUID(item["path"])
                    except ValueError:  # not ours
                        continue
                    yield StoredObject(file_id, item["last_modified"])

    @contextmanager
    def _errors_named(self, file_id: UUID | None = None) -> Iterator[None]:
        """Turn obstore's errors into the domain's; ``file_id`` is the object that must be there.

        The causes are dropped: their texts hold whole responses of the server, with the access key's id.
        """
        try:
            yield
        except (FileNotFoundError, BaseError) as error:
            missing = isinstance(error, FileNotFoundError)
            if "<Code>NoSuchBucket<" in str(error) or (missing and file_id is None):
                raise Unavailable(
                    f"The bucket {self._bucket!r} for uploaded files does not exist. Make it, or correct "
                    "CALLBOARD_FILES_URL."
                ) from None
            if missing:
                raise NotFound(f"There is no file {file_id}.") from None
            raise Unavailable(f"The bucket {self._bucket!r} for uploaded files fails: {_reason(error)}.") from None


def _chain(first: bytes, rest: Iterator[bytes]) -> Generator[bytes, None, None]:
    yield first
    yield from rest


def _reason(error: Exception) -> str:
    """Return what a message of obstore says, in short: the HTTP status and S3's code, or the kind of failure."""
    text = str(error)
    summary = text.splitlines()[0].rpartition(" - ")[2].partition(": <")[0].rstrip(": ") or type(error).__name__
    code = re.search(r"<Code>(\w+)</Code>", text)
    return f"{summary} ({code[1]})" if code else summary
