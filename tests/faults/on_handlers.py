"""Faults of the handlers themselves."""

from __future__ import annotations

import time
from typing import Final

from tests.faults.deployment import DISPATCHERS, WORKERS
from tests.faults.hostile import WAYS
from tests.faults.scenario import Stage, scenario

_LONGEST: Final = 90.0
_LIVE: Final = "SELECT FROM jobs WHERE type LIKE 'faults.hostile%' LIMIT 1"


@scenario("handlers", "hostile ones, through RabbitMQ", resource="handlers", mixed=False, fences=True, quick=True)
def hostile_handlers(stage: Stage) -> None:
    """Of all kinds at once, beside those that do their work. Threads that hang are fenced out."""
    _submit_and_wait(stage)


@scenario("handlers", "hostile ones, through memory", resource="handlers", mixed=False, fences=True)
def hostile_handlers_in_memory(stage: Stage) -> None:
    """The same in one process that also dispatches."""
    for name in (*DISPATCHERS, *WORKERS):
        stage.deployment.stop(name)
    stage.deployment.start("up")
    try:
        _submit_and_wait(stage)
    finally:
        stage.deployment.retire("up")
        for name in (*DISPATCHERS, *WORKERS):
            stage.deployment.start(name)
    stage.deployment.wait_until_ready()


def _submit_and_wait(stage: Stage) -> None:
    specs = [stage.mix.hostile(how, type_) for how, way in WAYS.items() for type_ in way.types]
    stage.random.shuffle(specs)
    for spec in specs:
        stage.load.submit([spec])
        stage.pause(0.05)
    deadline = time.monotonic() + _LONGEST
    while stage.deployment.rows(_LIVE) and time.monotonic() < deadline:
        stage.pause(0.2)
    stage.remarks.append(f"{len(specs)} hostile jobs of {len(WAYS)} kinds")
