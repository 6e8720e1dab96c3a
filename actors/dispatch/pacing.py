"""When to look again at queues that have more jobs than their windows in the broker take. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from callboard.db.dispatching.due import QueueLimits

_SHORTEST: Final = 0.01
_LONGEST: Final = 0.1


class Pacing:
    """How fast the windows empty. A look costs about the same whatever it finds, so it waits for half a window."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[float, int]] = {}

    def pause(
        self,
        now: float,
        limits: Mapping[str, QueueLimits],
        depths: Mapping[str, int],
        published: Mapping[str, int],
    ) -> float:
        """Return the seconds, 0.01 to 0.1, until the first of these queues is worth a look.

        Args:
            now: seconds, by a clock that does not jump.
            limits: of each queue.
            depths: messages that waited in the broker, by queue, before this look.
            published: messages that this look has added, by queue; none where a queue is missing.
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
                # A job may start as soon as another one ends, of which the depth tells nothing; or nothing is known.
                pause = _SHORTEST
                continue
            then, left = before[queue]
            if (taken := left - depth) > 0:
                pause = min(pause, (full - limit.window / 2) * (now - then) / taken)
        return max(_SHORTEST, pause)
