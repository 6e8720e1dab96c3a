"""A realistic mix: each job waits 10 ms and reports progress; the first attempt of every tenth fails."""

from __future__ import annotations

from contextlib import ExitStack

from bench.callboard_drain import callboard_embedded, callboard_on_rabbitmq, new_job
from bench.drains import Shape
from bench.dramatiq_drain import raw_dramatiq
from bench.effort import Effort
from bench.jobs import MIX
from bench.parts.drain import EMBEDDED, ON_RABBITMQ, RAW, add_measured
from bench.results import Part
from bench.services import Services
from callboard.db.transitions import NewJob

SHAPE = Shape(1, 32)


def measure_mix(services: Services, effort: Effort) -> Part:
    part = Part(effort.rounds)
    raw = f"{RAW}, {SHAPE}"
    with ExitStack() as stack:
        alone = stack.enter_context(raw_dramatiq(services, SHAPE, mix=True))
        on_rabbitmq = stack.enter_context(callboard_on_rabbitmq(services, SHAPE))
        embedded = stack.enter_context(callboard_embedded(services, SHAPE.threads))
        contestants = {
            raw: lambda: alone.drain(effort.jobs, lambda actors, number: actors.mix.send(number)),
            f"{ON_RABBITMQ}, {SHAPE}": lambda: on_rabbitmq.drain(effort.jobs, mixed),
            f"{EMBEDDED}, {SHAPE}": lambda: embedded.drain(effort.jobs, mixed),
        }
        add_measured(part, contestants, dict.fromkeys(contestants, raw))
    return part


def mixed(jobs: int, owner: str) -> list[NewJob]:
    """Make jobs of the mix."""
    return [new_job(owner, type=MIX, payload=str(number).encode()) for number in range(jobs)]
