"""Faults at random, two at a time."""

from __future__ import annotations

import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from random import Random

from tests.faults.scenario import SCENARIOS, Stage, scenario

_AT_ONCE = 2
_FAULTS = 8


@scenario("mixed", f"{_FAULTS} faults at random, {_AT_ONCE} at a time", resource="everything", mixed=False, fences=True)
def mix(stage: Stage) -> None:
    """Two faults of one resource do not meet: a broker cannot be purged while it is down."""
    choices = [each for each in SCENARIOS if each.mixed]
    drawn = [(stage.random.choice(choices), stage.random.randrange(2**32)) for _ in range(_FAULTS)]
    locks: dict[str, threading.Lock] = defaultdict(threading.Lock)
    for each, _ in drawn:
        locks[each.resource].acquire(blocking=False)
        locks[each.resource].release()
    stage.remarks.append("; ".join(each.title for each, _ in drawn))

    def strike(number: int) -> None:
        fault, seed = drawn[number]
        with locks[fault.resource]:
            fault.fault(Stage(stage.deployment, stage.load, stage.mix, Random(seed), stage.remarks))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(strike, range(_FAULTS)))
