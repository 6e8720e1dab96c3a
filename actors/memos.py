"""What a handler leaves for later attempts of its job: its checkpoint, and steps that are done once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar
from uuid import UUID, uuid5

import orjson
from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError
from sqlalchemy import Connection

from actors.interrupts import Interruption, JobInterrupted, StopRequest
from db import memos
from db.engine import Database
from db.errors import InvalidInput, TooLarge, Unavailable
from db.transitions import ClaimedJob

Answer = TypeVar("Answer")

_JSON: TypeAdapter[Any] = TypeAdapter(Any)
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0


class Memos(Protocol):
    """Where the memos of one job are, for one of its attempts; data is JSON.

    Each call blocks, and what it has stored is durable on return. While the database is away it waits, until the
    attempt is to stop: then it raises ``Unavailable``. In an attempt that is not ours any more it raises
    ``JobInterrupted``.
    """

    def read_checkpoint(self) -> bytes | None: ...
    def save_checkpoint(self, data: bytes) -> None: ...
    def read_step(self, key: str) -> bytes | None: ...
    def save_step(self, key: str, data: bytes) -> bytes: ...


class StoredMemos:
    """The :class:`Memos` in the database."""

    def __init__(self, job: ClaimedJob, database: Database, stop: StopRequest) -> None:
        self._job = (job.id, job.attempt)
        self._database = database
        self._stop = stop

    def read_checkpoint(self) -> bytes | None:
        return self._of_ours(lambda connection: memos.read_checkpoint(connection, *self._job)).data

    def save_checkpoint(self, data: bytes) -> None:
        self._of_ours(lambda connection: memos.save_checkpoint(connection, *self._job, data))

    def read_step(self, key: str) -> bytes | None:
        return self._of_ours(lambda connection: memos.read_step(connection, *self._job, key)).data

    def save_step(self, key: str, data: bytes) -> bytes:
        return self._of_ours(lambda connection: memos.save_step(connection, *self._job, key, data)).data or data

    def _of_ours(self, statement: Callable[[Connection], Answer | None]) -> Answer:
        """Return what ``statement`` does unless that is None: the attempt is not ours any more."""
        with self._stop.guarded():
            answer = self._patiently(statement)
            if answer is None:
                self._stop.interrupt(Interruption.LEASE_LOST)
                raise JobInterrupted
            return answer

    def _patiently(self, statement: Callable[[Connection], Answer]) -> Answer:
        pause = _FIRST_PAUSE
        while True:
            try:
                with self._database.autocommit() as connection:
                    return statement(connection)
            except Unavailable:
                if self._stop.reason is not None:
                    raise
            time.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 2)


class Memory:
    """The part of a :class:`~actors.context.Run` that outlives the attempt; see there."""

    def __init__(self, job_id: UUID, kept: Memos, check: Callable[[], None]) -> None:
        """``check``: raises when the attempt is to stop."""
        self._job_id = job_id
        self._kept = kept
        self._check = check
        self._restored: Any = None
        self._asked = False

    @property
    def restored(self) -> Any:
        if not self._asked:
            data = self._kept.read_checkpoint()
            self._restored = None if data is None else orjson.loads(data)
            self._asked = True
        return self._restored

    def checkpoint(self, data: Any) -> None:
        json = _to_json("The checkpoint", data)
        _ = self.restored  # which is the last one of an earlier attempt, and about to be replaced
        self._kept.save_checkpoint(json)

    def once(self, key: str, function: Callable[[], Any]) -> Any:
        if not 1 <= len(key) <= memos.MAX_KEY_LENGTH or "\0" in key:
            raise InvalidInput(
                f"The key of a step has 1 to {memos.MAX_KEY_LENGTH} characters and no NUL, but {key[:50]!r} is not so."
            )
        self._check()
        result = self._kept.read_step(key)
        if result is None:
            result = self._kept.save_step(key, _to_json(f"The result of step {key!r}", function()))
        return orjson.loads(result)

    def token(self, key: str) -> UUID:
        return uuid5(self._job_id, key)


def _to_json(what: str, data: Any) -> bytes:
    try:
        json = _JSON.dump_json(data)
    except PydanticSerializationError as error:
        raise InvalidInput(f"{what} has no JSON form: {error}") from error
    if len(json) > memos.MAX_BYTES:
        raise TooLarge(f"{what} has {len(json)} bytes, the limit is {memos.MAX_BYTES}. Attach a file, and keep its id.")
    return json
