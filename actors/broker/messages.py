"""The message on the wire: Dramatiq's JSON, with the job's id and the attempt as the actor's arguments."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson
from dramatiq import Message
from pydantic import TypeAdapter, ValidationError

from callboard.actors.broker.transport import Dispatch


@dataclass(frozen=True, slots=True)
class _Body:
    queue_name: str
    actor_name: str
    args: tuple[UUID, int]
    message_id: str
    message_timestamp: int


_BODY: Final = TypeAdapter(_Body)


class MalformedMessage(ValueError):
    """A message that no dispatcher has published. ``str`` does not repeat its content, which may be anything."""


def message_id(dispatch: Dispatch) -> str:
    """Return the id of a message. Messages of one attempt have the same id."""
    job_id, number = dispatch.attempt_id
    return f"{job_id}:{number}"


def to_message(dispatch: Dispatch) -> Message[None]:
    """Return the message by which Dramatiq calls the actor of the job's type: ``actor(job_id, attempt)``."""
    return Message(**_fields(dispatch))


def encode(dispatch: Dispatch) -> bytes:
    """Return the body of the message, as Dramatiq's default encoder makes it."""
    return orjson.dumps(_fields(dispatch))


def _fields(dispatch: Dispatch) -> dict[str, Any]:
    job_id, number = dispatch.attempt_id
    return {
        "queue_name": dispatch.queue,
        "actor_name": dispatch.type,
        "args": (str(job_id), number),
        "kwargs": {},
        "options": {},
        "message_id": message_id(dispatch),
        "message_timestamp": int(time.time() * 1000),
    }


def decode(body: bytes, queue: str) -> Message[None]:
    """Decode the body of a message that came from ``queue``.

    Only the exact form of :func:`encode` is accepted: Dramatiq's consumer and worker threads die of, or loop on,
    messages with other fields or the name of another queue.

    Raises:
        MalformedMessage: the body has another form.
    """
    try:
        content = _BODY.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise MalformedMessage(f"not a job's message: {first['msg']}{place and f' ({place})'}") from None
    if content.queue_name != queue:
        raise MalformedMessage("a message for another queue")
    job_id, attempt = content.args
    return Message(
        queue_name=queue,
        actor_name=content.actor_name,
        args=(str(job_id), attempt),
        kwargs={},
        options={},
        message_id=content.message_id,
        message_timestamp=content.message_timestamp,
    )
