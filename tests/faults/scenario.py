"""What a scenario is, and the list of all."""

from __future__ import annotations

import time
from collections.abc import Callable
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
    """Seconds after the fault's end within which jobs are to start again."""
    caught_up_within: float | None = None
    """Seconds after the fault's end within which all earlier jobs are to have started, also those interrupted."""
    quick: bool = False
    mixed: bool = True
    fences: bool = False
    """A handler may run on while its job, taken from its worker, runs elsewhere: nobody can stop it in time."""

    @property
    def title(self) -> str:
        """What reports call it."""
        return f"{self.group}: {self.name}"


SCENARIOS: list[Scenario] = []


def scenario(
    group: str,
    name: str,
    *,
    resource: str,
    within: float | None = None,
    caught_up_within: float | None = None,
    quick: bool = False,
    mixed: bool = True,
    fences: bool = False,
) -> Callable[[Fault], Fault]:
    """Enter a fault into the list."""

    def enter(fault: Fault) -> Fault:
        SCENARIOS.append(Scenario(group, name, fault, resource, within, caught_up_within, quick, mixed, fences))
        return fault

    return enter
