"""One scenario from its load to its findings."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.faults.checker import Findings, check
from tests.faults.deployment import Deployment
from tests.faults.evidence import gather, wait_until_none_live
from tests.faults.load import Load
from tests.faults.mix import Mix
from tests.faults.scenario import Scenario, Stage

_LONGEST_SETTLING: Final = 90.0


@dataclass(frozen=True, slots=True)
class Effort:
    """How much load, and for how many seconds before and after each fault."""

    rate: float
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one scenario."""

    scenario: Scenario
    findings: Findings
    died: Sequence[str]
    """Processes that ended though nobody had ended them."""
    outages: int
    """Requests of the load that were not answered, or with a 5xx; each was repeated."""
    remarks: Sequence[str]
    seconds: float

    @property
    def violations(self) -> dict[str, int]:
        """Return the counts that must be zero, those that are not."""
        found = self.findings.violations
        if self.findings.fenced and not self.scenario.fences:
            found["fenced"] = self.findings.fenced
        if self.died:
            found["died"] = len(self.died)
        return found

    @property
    def late(self) -> bool:
        """Whether it was back later than it is to be."""
        bounds = (
            (self.findings.working_after, self.scenario.within),
            (self.findings.caught_up_after, self.scenario.caught_up_within),
        )
        return any(bound is not None and took > bound for took, bound in bounds)


def play(scenario: Scenario, deployment: Deployment, random: Random, effort: Effort) -> Result:
    """Run the load, make the fault, wait until all is done, and look at everything.

    Processes that are dead at the end are started again.
    """
    began = time.time()
    mix = Mix(random, deployment.ledger)
    load = Load(deployment.urls, mix, random, rate=effort.rate)
    stage = Stage(deployment, load, mix, random)
    load.start()
    try:
        stage.pause(effort.before)
        scenario.fault(stage)
        fault_ended = time.time()
        stage.pause(effort.after)
    finally:
        load.stop(timeout=30)
    wait_until_none_live(deployment, _LONGEST_SETTLING)
    died = deployment.dead()
    for name in died:
        deployment.start(name)
    deployment.wait_until_ready()
    findings = check(gather(deployment, load.told, began=began, fault_ended=fault_ended))
    if load.told.replays_that_differ:
        findings.wrong.update(dict.fromkeys([each.job_id for each in load.told.accepted[:1]], "a replay differs"))
    return Result(scenario, findings, died, load.told.outages, stage.remarks, time.time() - began)
