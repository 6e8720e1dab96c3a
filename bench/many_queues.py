"""Fifty queues with a job type on each, for ``CALLBOARD_JOB_MODULES``."""

from __future__ import annotations

import os
from typing import Final

from callboard.actors.types.registry import job

#: By queue, the job type on it.
JOB_TYPES: Final = {f"bench-{number:02}": f"bench.queue_{number:02}" for number in range(50)}
QUEUES_VARIABLE: Final = "BENCH_QUEUES"


def _noop(_: object) -> None:
    """Do nothing."""


for _queue, _name in list(JOB_TYPES.items())[: int(os.environ.get(QUEUES_VARIABLE, "0"))]:
    job(_name, queue=_queue, description="Does nothing.")(_noop)
