"""HTTP errors of functions that were written for HTTP, and run in a job."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

#: The statuses from 400 to 499 after which a retry may succeed.
_MAY_PASS: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,
        HTTPStatus.LOCKED,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)


class HTTPClientError(Exception):
    """The function refused its arguments. Another attempt would fail the same way."""


@contextmanager
def client_errors_are_final() -> Iterator[None]:
    """Raise an ``HTTPException`` that blames the request as :class:`HTTPClientError`, which is not retried."""
    try:
        yield
    except Exception as error:
        # If Starlette is not imported, nothing can have raised it.
        starlette = sys.modules.get("starlette.exceptions")
        if starlette is None or not isinstance(error, starlette.HTTPException):
            raise
        raise_if_final(error.status_code, error.detail)
        raise


def raise_if_final(status: int, detail: object) -> None:
    """Return if a retry may succeed after this status.

    Raises:
        HTTPClientError: a retry would fail the same way.
    """
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _MAY_PASS:
        raise HTTPClientError(f"{status}: {detail}")
