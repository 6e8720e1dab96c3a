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

    _response: Response | None = PrivateAttr(default=None)

    @property
    def etag(self) -> str | None:
        """Names the state that is shown; None if a proxy removed the ETag."""
        return None if self._response is None else self._response.headers.get("etag")

    @property
    def existing(self) -> bool:
        """Of a submission: whether the job was there before, with the same unique key or idempotency key."""
        response = self._response
        return response is not None and (
            response.status == 200 or response.headers.get("idempotency-replayed") == "true"
        )

    @property
    def json_text(self) -> bytes:
        """The job as the server wrote it."""
        return self.model_dump_json().encode() if self._response is None else self._response.content

    def model_post_init(self, context: Any) -> None:
        """Keep the response, whose head says more."""
        if isinstance(context, Response):
            self._response = context


def parse(model: type[M], response: Response) -> M:
    """Return the body as ``model``. Fields that only a newer server knows are kept as ``model_extra``.

    Raises:
        UnexpectedResponse: the body is something else.
    """
    try:
        return model.model_validate_json(response.content, extra="allow", context=response)
    except ValueError as error:
        raise UnexpectedResponse(response) from error
