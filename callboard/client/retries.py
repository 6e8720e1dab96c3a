"""When a request is sent again, and for how long."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from callboard.client.errors import ClientError, Problem, ServerUnreachable, problem_of
from callboard.client.messages import Operation, Request, Response

_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 5.0
#: Most seconds that a Retry-After is followed. Whether to wait longer is for the caller to decide.
_LONGEST_RETRY_AFTER: Final = 60.0
_NOT_MODIFIED: Final = 304
_CONFLICT: Final = 409
_TOO_MANY: Final = 429
_UNAVAILABLE: Final = frozenset({502, 503, 504})

OnOutage = Callable[[ClientError], None]
"""Called once for each outage, before the first retry, with the error. An exception that it raises ends the retries."""


@dataclass(frozen=True, slots=True)
class Retries:
    """Sends a request again while the server is unavailable or overloaded."""

    retry_for: float
    """Seconds after the first failure in which a request may be sent again; 0: it is sent once."""
    on_outage: OnOutage | None = None

    def send(self, request: Request) -> Operation[Response]:
        """Return the response to ``request``: a success, or a 304.

        The pauses grow from a quarter of a second to five seconds, with jitter. A Retry-After makes them longer.

        Raises:
            Problem: the server refused, for good or for longer than ``retry_for``.
            ServerUnreachable: no response arrived for longer than ``retry_for``, or the request must not be sent twice.
        """
        last: float | None = None
        pause = _FIRST_PAUSE
        while True:
            failure: ClientError
            try:
                response = yield request
            except ServerUnreachable as error:
                failure = error
            else:
                if response.is_success or response.status == _NOT_MODIFIED:
                    return response
                failure = problem_of(response)
            now = time.monotonic()
            is_first = last is None
            last = now + self.retry_for if last is None else last
            wanted = max(pause * random.uniform(0.5, 1.0), _retry_after(failure))
            if not _may_repeat(request, failure) or now + wanted > last or not _rewind(request):
                raise failure
            if is_first and self.on_outage is not None:
                self.on_outage(failure)
            request = replace(request, pause=wanted)
            pause = min(pause * 2, _LONGEST_PAUSE)


def _may_repeat(request: Request, failure: ClientError) -> bool:
    match failure:
        case ServerUnreachable():
            return request.repeatable or not failure.sent
        case Problem(status=status):
            if status == _TOO_MANY:
                return _retry_after(failure) <= _LONGEST_RETRY_AFTER
            if status == _CONFLICT:
                # The first of two requests with this key is still in flight.
                return "Idempotency-Key" in request.headers and failure.retry_after is not None
            return status in _UNAVAILABLE and request.repeatable
    return False


def _retry_after(failure: ClientError) -> float:
    return (failure.retry_after or 0.0) if isinstance(failure, Problem) else 0.0


def _rewind(request: Request) -> bool:
    """Put the files of a request back to where they were. Returns False if that is not possible."""
    return all(file is None or file.rewind() for file in (request.sink, request.upload))
