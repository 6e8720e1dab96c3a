"""A job's states, one after the other, over long polls that outlive restarts of the server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from callboard.cli.answers import ProblemAnswer, ServerUnreachable
from callboard.cli.client import Client, Json, Seen
from callboard.db.errors import CallboardError

#: Seconds that one request may wait for a change. Well below what proxies and load balancers allow.
_LONGEST_WAIT: Final = 25.0
#: The same where the server's answers have lost their ETag on the way: without one it would wait for the job's end.
_WAIT_WITHOUT_ETAG: Final = 1.0
#: Least seconds between two requests, whatever the server does.
_LEAST_INTERVAL: Final = 0.1
_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 5.0


def follow(
    client: Client, seen: Seen, *, on_trouble: Callable[[CallboardError], None], patience: float = 300.0
) -> Iterator[Json]:
    """Yield the job as ``seen``, then as it is after each change, up to and including the state in which it is done.

    Args:
        client: where to ask.
        seen: the job as last shown.
        on_trouble: told once of each outage: the server is away, overloaded, or without its database.
        patience: seconds that one outage may last.

    Raises:
        ServerUnreachable, ProblemAnswer: an outage lasted longer, or the server refuses (the job was deleted, say).
    """
    yield seen.job
    trouble_since: float | None = None
    pause = _FIRST_PAUSE
    while not seen.job["done"]:
        asked_at = time.monotonic()
        try:
            wait = _LONGEST_WAIT if seen.etag is not None else _WAIT_WITHOUT_ETAG
            changed = client.next_state(seen.job["id"], etag=seen.etag, wait=wait)
        except (ServerUnreachable, ProblemAnswer) as error:
            if isinstance(error, ProblemAnswer) and not error.is_transient:
                raise
            if trouble_since is None:
                trouble_since = asked_at
                on_trouble(error)
            elif asked_at - trouble_since > patience:
                raise
            time.sleep(max(pause, _asked_pause(error)))
            pause = min(pause * 2, _LONGEST_PAUSE)
            continue
        trouble_since = None
        pause = _FIRST_PAUSE
        if changed is not None:
            seen = changed
            yield seen.job
        time.sleep(max(0.0, asked_at + _LEAST_INTERVAL - time.monotonic()))


def _asked_pause(error: CallboardError) -> float:
    asked = error.retry_after if isinstance(error, ProblemAnswer) else None
    return min(asked or 0.0, _LONGEST_PAUSE)
