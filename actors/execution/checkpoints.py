"""Checkpoints, and steps that are done once: data of a handler for later attempts of its job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol
from uuid import UUID, uuid5

import orjson

from callboard.actors.types.json_form import json_form
from callboard.db.errors import InvalidInput
from callboard.db.rules.text import has_unstorable

#: Largest JSON of a checkpoint, and of the result of a step.
_MAX_BYTES: Final = 2**20
_MAX_KEY_LENGTH: Final = 200


class CheckpointStore(Protocol):
    """Stores the checkpoint and the steps of one job, for one of its attempts. Data is JSON.

    Each call blocks, and what it stores is durable on return. While the database is away it waits, and raises
    ``Unavailable`` once the attempt is to stop. In an attempt that was fenced out it raises ``JobInterrupted``.
    """

    def read_checkpoint(self) -> bytes | None: ...
    def save_checkpoint(self, data: bytes) -> None: ...
    def read_step(self, key: str) -> bytes | None: ...
    def save_step(self, key: str, data: bytes) -> bytes: ...


class Checkpoints:
    """The part of a :class:`Run` that outlives the attempt; see there."""

    def __init__(self, job_id: UUID, store: CheckpointStore, check: Callable[[], None]) -> None:
        """``check``: raises if the attempt is to stop."""
        self._job_id = job_id
        self._store = store
        self._check = check
        self._restored: Any = None
        self._was_read = False

    @property
    def restored(self) -> Any:
        if not self._was_read:
            data = self._store.read_checkpoint()
            self._restored = None if data is None else orjson.loads(data)
            self._was_read = True
        return self._restored

    def checkpoint(self, data: Any) -> None:
        json = json_form(data, what="The checkpoint", max_bytes=_MAX_BYTES)
        _ = self.restored  # reads that of an earlier attempt, before it is replaced
        self._store.save_checkpoint(json)

    def once(self, key: str, function: Callable[[], Any]) -> Any:
        if not 1 <= len(key) <= _MAX_KEY_LENGTH or has_unstorable(key):
            raise InvalidInput(
                f"The key of a step has 1 to {_MAX_KEY_LENGTH} characters, no NUL and no half of a surrogate pair, but "
                f"{key[:50]!r} is not so."
            )
        self._check()
        result = self._store.read_step(key)
        if result is None:
            json = json_form(function(), what=f"The result of step {key!r}", max_bytes=_MAX_BYTES)
            result = self._store.save_step(key, json)
        return orjson.loads(result)

    def token(self, key: str) -> UUID:
        return uuid5(self._job_id, key)
