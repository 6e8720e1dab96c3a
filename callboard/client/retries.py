"""Trying again: what, when, and for how long."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from typing import Final

from callboard.client.calls import Answer, Call, Operation
from callboard.client.errors import ClientError, Problem, ServerUnreachable, problem_of

_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 5.0
#: Most seconds that a Retry-After is followed; one that asks for more is the caller's to decide.
_LONGEST_RETRY_AFTER: Final = 60.0
_NOT_MODIFIED: Final = 304
_CONFLICT: Final = 409
_TOO_MANY: Final = 429
_AWAY: Final = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True)
class Retries:
    """Sends a request again while the server is away or overloaded."""

    within: float
    """Seconds after the first failure in which it may be sent again; 0: it is sent once."""

    def send(self, call: Call) -> Operation[Answer]:
        """Return the answer to ``call``: a success, or not modified.

        The pauses grow from a quarter of a second to five, with jitter, and are at least what Retry-After asks for.

        Raises:
            Problem: the server refused, for good or for too long.
            ServerUnreachable: no answer came for too long, or the request must not be sent twice.
        """
        last: float | None = None
        pause = _FIRST_PAUSE
        while True:
            failure: ClientError
            try:
                answer = yield call
            except ServerUnreachable as error:
                failure = error
            else:
                if answer.is_success or answer.status == _NOT_MODIFIED:
                    return answer
                failure = problem_of(answer.status, answer.json(), answer.headers)
            now = time.monotonic()
            last = now + self.within if last is None else last
            wanted = max(pause * random.uniform(0.5, 1.0), _asked(failure))
            if not _may_repeat(call, failure) or now + wanted > last or not _rewind(call):
                raise failure
            call = replace(call, pause=wanted)
            pause = min(pause * 2, _LONGEST_PAUSE)


def _may_repeat(call: Call, failure: ClientError) -> bool:
    match failure:
        case ServerUnreachable():
            return call.repeatable or not failure.sent
        case Problem(status=status):
            if status == _TOO_MANY:
                return _asked(failure) <= _LONGEST_RETRY_AFTER
            if status == _CONFLICT:
                # The first of two requests with this key is still under way.
                return "Idempotency-Key" in call.headers and failure.retry_after is not None
            return status in _AWAY and call.repeatable
    return False


def _asked(failure: ClientError) -> float:
    return (failure.retry_after or 0.0) if isinstance(failure, Problem) else 0.0


def _rewind(call: Call) -> bool:
    """Put the files of a request back to where they were; False if that cannot be done."""
    if call.sink is not None:
        call.sink.seek(0)
        call.sink.truncate()
    if call.upload is not None:
        if not call.upload.content.seekable():
            return False
        call.upload.content.seek(0)
    return True
