"""Errors that functions written for HTTP raise, in a job that has no client to answer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

#: Of 400 to 499, those that say: later.
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
    """The function found fault with what it was called with. Another attempt would find it again."""


@contextmanager
def client_errors_are_final() -> Iterator[None]:
    """Raise an ``HTTPException`` that blames the request as :class:`HTTPClientError`, which jobs do not retry."""
    try:
        yield
    except Exception as error:
        # Where it has not been imported nobody can have raised it.
        starlette = sys.modules.get("starlette.exceptions")
        if starlette is None or not isinstance(error, starlette.HTTPException):
            raise
        raise_if_final(error.status_code, error.detail)
        raise


def raise_if_final(status: int, detail: object) -> None:
    """Return if a later attempt may fare better than the one that ended with this status.

    Raises:
        HTTPClientError: it would end the same way.
    """
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _MAY_PASS:
        raise HTTPClientError(f"{status}: {detail}")
