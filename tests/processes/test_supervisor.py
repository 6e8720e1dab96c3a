"""The supervisor with real children, and the signals that stop processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from structlog.testing import capture_logs

from callboard.processes.signals import StopSignal
from callboard.processes.supervisor import ChildSpec, Supervisor

pytestmark = pytest.mark.faults

_HAMMER = """
import random, signal
from callboard.processes.signals import StopSignal

for _ in range(2000):
    stop = StopSignal()
    signal.signal(signal.SIGALRM, signal.getsignal(signal.SIGTERM))
    signal.setitimer(signal.ITIMER_REAL, random.uniform(0.00001, 0.0002))
    while not stop.wait(0.000001):
        pass
    stop.close()
"""


def test_the_first_signal_stops_and_the_second_hurries(stop: StopSignal) -> None:
    assert not stop.wait(0)
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop.wait(60)
    assert not stop.hurried
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop.wait(60)
    assert stop.hurried


def test_a_signal_at_any_moment_is_heard() -> None:
    """A handler that takes a lock hangs when the code that it interrupts has it."""
    subprocess.run([sys.executable, "-c", _HAMMER], check=True, timeout=60)


def test_a_child_that_keeps_dying_is_started_with_growing_pauses(stop: StopSignal) -> None:
    """Hazard: a crash loop of a hundred processes a second, which hides the first error and starves the others."""
    deaths: list[int] = []

    def died(_spec: ChildSpec, pid: int) -> None:
        deaths.append(pid)
        if len(deaths) == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    with capture_logs() as logs:
        assert Supervisor([ChildSpec("ghost", "no such role")], grace=30, hang_after=60, died=died).run(stop) == 0

    assert [(entry["exit_code"], entry["restart_in"]) for entry in logs] == [(1, 0.4), (1, 0.8), (1, 1.6)]
    assert len(set(deaths)) == 3


def test_a_child_that_refuses_to_work_ends_all(stop: StopSignal) -> None:
    """Hazard: it says why again and again, and nobody outside learns that the system does not work."""
    children = [
        ChildSpec("api", "api", {"host": "no.such.host.invalid", "port": 1}),
        ChildSpec("ghost", "no such role"),
    ]
    with capture_logs():
        assert Supervisor(children, grace=30, hang_after=60).run(stop) == 2
    assert not stop.is_set
