"""What a scenario is, and the list of all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from tests.faults.deployment import Deployment
from tests.faults.load import Load
from tests.faults.mix import Mix


@dataclass(slots=True)
class Stage:
    """What a scenario acts on."""

    deployment: Deployment
    load: Load
    mix: Mix
    random: Random
    remarks: list[str] = field(default_factory=list)
    """For the report."""

    def pause(self, seconds: float) -> None:
        """Let the fault last."""
        time.sleep(seconds)


Fault = Callable[[Stage], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault under load. ``fault`` makes it, lets it last, and ends it."""

    group: str
    name: str
    fault: Fault
    resource: str
    """What it acts on: in the mix, two faults of one resource do not meet."""
    within: float | None = None
    """Seconds within which the system is to be back after the fault's end."""
    quick: bool = False
    mixed: bool = True
    fences: bool = False
    """A handler may run on while its job, taken from its worker, runs elsewhere: nobody can stop it in time."""


SCENARIOS: list[Scenario] = []


def scenario(
    group: str,
    name: str,
    *,
    resource: str,
    within: float | None = None,
    quick: bool = False,
    mixed: bool = True,
    fences: bool = False,
) -> Callable[[Fault], Fault]:
    """Enter a fault into the list."""

    def enter(fault: Fault) -> Fault:
        SCENARIOS.append(Scenario(group, name, fault, resource, within, quick, mixed, fences))
        return fault

    return enter


def chosen(names: Sequence[str]) -> list[Scenario]:
    """Return the scenarios whose name contains one of these texts."""
    return [each for each in SCENARIOS if any(name in f"{each.group}: {each.name}" for name in names)]
