"""Faults of the network, through a proxy between processes and servers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.faults.deployment import LEASE, Deployment
from tests.faults.proxy import Way
from tests.faults.scenario import Stage, scenario

_BACK = 10.0
_CUT = 3.0
_SILENT = LEASE + 3
_SLOW = 6.0


def _cut(way_of: Callable[[Deployment], Way], seconds: float, stage: Stage) -> None:
    way_of(stage.deployment).cut()
    stage.pause(seconds)
    way_of(stage.deployment).heal()


def _fall_silent(way_of: Callable[[Deployment], Way], stage: Stage) -> None:
    way_of(stage.deployment).fall_silent()
    stage.pause(_SILENT)
    way_of(stage.deployment).heal()


def _slow_down(way_of: Callable[[Deployment], Way], delay: float, stage: Stage) -> None:
    way_of(stage.deployment).slow_down(delay)
    stage.pause(_SLOW)
    way_of(stage.deployment).heal()


def _to_rabbitmq(role: str) -> Callable[[Deployment], Way]:
    return lambda deployment: deployment.to_rabbitmq[role]


def _to_postgres(role: str) -> Callable[[Deployment], Way]:
    return lambda deployment: deployment.to_postgres[role]


for _role in ("worker", "dispatcher"):
    _way = _to_rabbitmq(_role)
    _entry = partial(scenario, "network", resource=f"{_role} and broker", within=_BACK)
    _entry(f"{_role} and broker: cut")(partial(_cut, _way, _CUT))
    _entry(f"{_role} and broker: half-open")(partial(_fall_silent, _way))
    _entry(f"{_role} and broker: 0.2 s late, each way")(partial(_slow_down, _way, 0.2))

for _role in ("api", "dispatcher", "worker"):
    _way = _to_postgres(_role)
    _entry = partial(scenario, "network", resource=f"{_role} and database", within=_BACK)
    _entry(f"{_role} and database: cut", quick=_role == "worker")(partial(_cut, _way, _CUT))
    _entry(f"{_role} and database: half-open")(partial(_fall_silent, _way))
    _entry(f"{_role} and database: 0.05 s late, each way")(partial(_slow_down, _way, 0.05))


@scenario(
    "network", "worker and database: cut beyond the lease", resource="worker and database", within=_BACK, quick=True
)
def cut_beyond_lease(stage: Stage) -> None:
    """Workers stop what they run, as nobody can tell them that it runs elsewhere."""
    stage.load.submit([stage.mix.lasting(LEASE + 5) for _ in range(6)])
    stage.pause(1)
    _cut(_to_postgres("worker"), LEASE + 3, stage)


@scenario("network", "all: every connection reset, twice a second", resource="everything", within=_BACK, mixed=False)
def flaky(stage: Stage) -> None:
    for _ in range(12):
        for way in stage.deployment.ways:
            way.cut()
            way.heal()
        stage.pause(0.5)
