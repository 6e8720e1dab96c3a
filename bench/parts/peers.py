"""Jobs that do nothing: Callboard beside other Python task systems that keep results in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from bench.callboard_drain import callboard_embedded, callboard_on_rabbitmq
from bench.drains import Contestant, Measured, Shape
from bench.dramatiq_drain import raw_dramatiq
from bench.effort import Effort
from bench.parts.drain import EMBEDDED, ON_RABBITMQ, RAW, add_measured
from bench.peer_drain import peer_contestant
from bench.peer_list import PEERS
from bench.results import Part
from bench.services import Services

_TWO = Shape(2, 32)
_ONE = Shape(1, 32)


def measure_peers(services: Services, effort: Effort) -> Part:
    part = Part(effort.rounds)
    raw = f"{RAW}, {_TWO}"
    with ExitStack() as stack:
        contestants: dict[str, Contestant] = {
            raw: stack.enter_context(raw_dramatiq(services, _TWO)),
            f"{ON_RABBITMQ}, {_TWO}": stack.enter_context(callboard_on_rabbitmq(services, _TWO)),
            f"{EMBEDDED}, {_ONE}": stack.enter_context(callboard_embedded(services, _ONE.threads)),
        }
        for peer in PEERS:
            contestants[peer.name] = stack.enter_context(peer_contestant(services, peer))
        drains = {name: _drain(each, effort.peer_jobs) for name, each in contestants.items()}
        add_measured(part, drains, dict.fromkeys(drains, raw))
    return part


def _drain(contestant: Contestant, jobs: int) -> Callable[[], Measured]:
    return lambda: contestant.drain(jobs)
