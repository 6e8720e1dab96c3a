"""Faults of the clock that Callboard's processes read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.e2e.processes import ROOT
from tests.faults.deployment import APIS, DISPATCHERS, WORKERS
from tests.faults.scenario import Stage, scenario
from tests.faults.stepped import set_ahead

_HOUR: Final = 3600
_LASTS: Final = 4.0
_OFF: Final = """
    SELECT count(*) FROM job_history
    WHERE finished_at > now() - interval '10 minutes' AND abs(extract(epoch FROM started_at - created_at)) > 3000
"""


@scenario("clock", "every process's but PostgreSQL's: an hour ahead, then one behind", resource="clock", mixed=False)
def step_clocks(stage: Stage) -> None:
    """As when machines find out what time it is. Each step meets processes that run."""
    file = stage.deployment.directory / "clock"
    set_ahead(file, 0)
    _restart(stage, _following(file))
    for ahead in (_HOUR, -_HOUR, 0):
        set_ahead(file, ahead)
        stage.pause(_LASTS)
    off = stage.deployment.rows(_OFF)[0]["count"]
    if not off:
        raise AssertionError("No process had a wrong clock.")
    stage.remarks.append(f"{off} jobs have the time of another hour in their ids")
    _restart(stage, {})


def _following(file: Path) -> Mapping[str, str]:
    path = [ROOT / "tests/faults/clock", ROOT]
    return {"FAULTS_CLOCK": str(file), "PYTHONPATH": os.pathsep.join(map(str, path))}


def _restart(stage: Stage, environment: Mapping[str, str]) -> None:
    for name in (*APIS, *DISPATCHERS, *WORKERS):
        stage.deployment.stop(name)
        stage.deployment.start(name, environment)
        if name in APIS:  # one of them serves
            stage.deployment.wait_until_ready()
    stage.deployment.wait_until_consuming()
