"""What the clients return."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, PrivateAttr

from callboard.api.openapi import models
from callboard.client.errors import UnexpectedResponse
from callboard.client.messages import Response

M = TypeVar("M", bound=BaseModel)


class Job(models.Job):
    """A job, as a response showed it."""

    _etag: str | None = PrivateAttr(default=None)
    _existing: bool = PrivateAttr(default=False)

    @property
    def etag(self) -> str | None:
        """Names the state that is shown; None if a proxy removed the ETag."""
        return self._etag

    @property
    def existing(self) -> bool:
        """Of a submission: whether the job was there before, with the same unique key or idempotency key."""
        return self._existing

    def model_post_init(self, context: Any) -> None:
        """Take from the response what only its head says."""
        if isinstance(context, Response):
            self._etag = context.headers.get("etag")
            self._existing = context.status == 200 or context.headers.get("idempotency-replayed") == "true"


def parse(model: type[M], response: Response) -> M:
    """Return the body as ``model``. Fields that only a newer server knows are kept as ``model_extra``.

    Raises:
        UnexpectedResponse: the body is something else.
    """
    try:
        return model.model_validate_json(response.content, extra="allow", context=response)
    except ValueError as error:
        raise UnexpectedResponse(response) from error
