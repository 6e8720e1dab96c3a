"""The message on the wire: Dramatiq's JSON, with the job's id and the attempt as the actor's arguments."""

from __future__ import annotations

import time

import orjson
from dramatiq import Message

from actors.transport import Dispatch


class MalformedMessage(ValueError):
    """A message that no dispatcher of ours has published; ``str`` does not repeat it, as it may hold anything."""


def message_id(dispatch: Dispatch) -> str:
    """Return the same id for the same attempt, however often it is published."""
    return f"{dispatch.job_id}:{dispatch.attempt}"


def to_message(dispatch: Dispatch) -> Message[None]:
    """Return what Dramatiq hands to the actor of the job's type: ``actor(job_id, attempt)``."""
    return Message(
        queue_name=dispatch.queue,
        actor_name=dispatch.type,
        args=(str(dispatch.job_id), dispatch.attempt),
        kwargs={},
        options={},
        message_id=message_id(dispatch),
        message_timestamp=int(time.time() * 1000),
    )


def encode(dispatch: Dispatch) -> bytes:
    """Return the body that Dramatiq's default encoder would make."""
    return orjson.dumps(to_message(dispatch).asdict())


def decode(body: bytes, queue: str) -> Message[None]:
    """Read a body that came from ``queue``.

    Anything but our own form is refused: Dramatiq's consumer and worker threads die of, or loop on, messages with
    unfit options or the name of another queue.

    Raises:
        MalformedMessage: it is not a message of ours.
    """
    try:
        fields = orjson.loads(body)
        job_id, attempt = fields["args"]
        message: Message[None] = Message(
            queue_name=fields["queue_name"],
            actor_name=fields["actor_name"],
            args=(job_id, attempt),
            kwargs={},
            options={},
            message_id=fields["message_id"],
            message_timestamp=fields["message_timestamp"],
        )
    except (ValueError, TypeError, KeyError) as error:
        raise MalformedMessage(f"not a job's message ({type(error).__name__})") from None
    if message.queue_name != queue or not (isinstance(job_id, str) and isinstance(attempt, int)):
        raise MalformedMessage(f"not a message for queue {queue}")
    return message
