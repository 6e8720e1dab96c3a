"""The pause until the next round while queues have more jobs than fit into their windows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from callboard.db.dispatching.due import QueueLimits

_SHORTEST: Final = 0.01
_LONGEST: Final = 0.1


class Pacing:
    """Measures how fast the windows empty. A round costs the same for any number of jobs: wait for half a window."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[float, int]] = {}

    def pause(
        self,
        now: float,
        limits: Mapping[str, QueueLimits],
        depths: Mapping[str, int],
        published: Mapping[str, int],
    ) -> float:
        """Return the seconds, 0.01 to 0.1, until the first of these windows is half empty.

        Args:
            now: seconds, by a monotonic clock.
            limits: by queue.
            depths: messages that waited in the broker before this round, by queue.
            published: messages that this round has added, by queue; 0 for a queue that is missing.
        """
        before, self._left = self._left, {}
        pause = _LONGEST
        for queue, depth in depths.items():
            full = depth + published.get(queue, 0)
            self._left[queue] = (now, full)
            limit = limits[queue]
            if limit.rate is not None:
                pause = min(pause, 1 / limit.rate.per_second)
            if limit.startable is not None or queue not in before:
                # With a concurrency limit, a job may start as soon as another ends, which does not show in the depth.
                # Of a new queue nothing is known.
                pause = _SHORTEST
                continue
            then, left = before[queue]
            if (taken := left - depth) > 0:
                pause = min(pause, (full - limit.window / 2) * (now - then) / taken)
        return max(_SHORTEST, pause)
