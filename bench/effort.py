"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bench.drains import Shape


@dataclass(frozen=True, slots=True)
class Effort:
    """Rounds and sizes. Times are seconds."""

    rounds: int
    jobs: int
    """Of one backlog."""
    shapes: tuple[Shape, ...]
    peer_jobs: int
    """Of one backlog beside the peers, which take longer."""
    http_seconds: float
    latencies: int
    """Jobs in one round, one after the other."""
    load_seconds: float
    """Of half load in one round."""
    history_rounds: int
    """Beside a long history, where five in a hundred are to be told from none."""
    history_jobs: int
    """Of one backlog there of jobs that do nothing: it lasts for longer than what PostgreSQL does now and then."""
    scale_rounds: int
    scale_jobs: int
    processes: tuple[int, ...]
    threads: tuple[int, ...]
    queues: tuple[int, ...]
    backlogs: tuple[int, ...]
    """Jobs that wait at the beginning; more than all rounds take of them."""
    payloads: tuple[int, ...]
    """Bytes."""
    crowd: int
    """Jobs of one owner, beside ten of another."""


FULL: Final = Effort(
    rounds=5,
    jobs=5000,
    shapes=(Shape(1, 8), Shape(1, 32), Shape(1, 64), Shape(2, 8), Shape(2, 32), Shape(2, 64)),
    peer_jobs=2500,
    http_seconds=2.5,
    latencies=100,
    load_seconds=5.0,
    history_rounds=11,
    history_jobs=15_000,
    scale_rounds=3,
    scale_jobs=4000,
    processes=(1, 2, 4),
    threads=(8, 32, 128),
    queues=(1, 10, 50),
    backlogs=(20_000, 100_000, 1_000_000),
    payloads=(100, 1_000, 10_000, 100_000, 1_000_000),
    crowd=10_000,
)
#: Does it run at all? Ratios of a quick run differ by a fifth and more from run to run.
QUICK: Final = Effort(
    rounds=1,
    jobs=800,
    shapes=(Shape(1, 32),),
    peer_jobs=500,
    http_seconds=0.3,
    latencies=10,
    load_seconds=1.0,
    history_rounds=1,
    history_jobs=500,
    scale_rounds=1,
    scale_jobs=400,
    processes=(1, 2),
    threads=(8, 32),
    queues=(1, 10),
    backlogs=(2000, 5000),
    payloads=(100, 100_000),
    crowd=500,
)
