"""Probes, from the metrics of the processes."""

from __future__ import annotations

import time

import pytest
from prometheus_client import CollectorRegistry, Gauge

from callboard.processes.probes import worker_probes


class Workers:
    """The metrics of two worker processes."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.checked = Gauge("callboard_worker_checked_timestamp_seconds", "-", registry=self.registry)
        self.ready = Gauge("callboard_worker_ready_processes", "-", registry=self.registry)
        self.consuming = Gauge("callboard_worker_consuming", "-", ["queue"], registry=self.registry)
        self.checked.set_to_current_time()
        self.ready.set(2)
        self.consuming.labels("reports").set(1)
        self.probes = worker_probes(self.registry, 2, hang_after=60)


@pytest.fixture
def workers() -> Workers:
    return Workers()


def test_all_is_well(workers: Workers) -> None:
    assert {path: probe() for path, probe in workers.probes.items()} == {"/livez": None, "/readyz": None}


def test_a_process_that_does_not_check_its_health_is_not_live(workers: Workers) -> None:
    """Before that its supervisor has had the time to replace it."""
    workers.checked.set(time.time() - 80)
    assert workers.probes["/livez"]() is None
    workers.checked.set(time.time() - 91)
    assert workers.probes["/livez"]() == "A worker process has hung for 91 s."
    assert workers.probes["/readyz"]() == "A worker process has hung for 91 s."


def test_a_process_that_is_not_there_yet_is_live_but_not_ready(workers: Workers) -> None:
    workers.ready.set(1)
    assert workers.probes["/livez"]() is None
    assert workers.probes["/readyz"]() == "1 of 2 worker processes take jobs."


def test_a_process_that_starts_is_live(workers: Workers) -> None:
    """prometheus_client gives a gauge of a new process the value 0."""
    workers.checked.set(0)
    assert workers.probes["/livez"]() is None


def test_before_the_first_process_told_anything() -> None:
    probes = worker_probes(CollectorRegistry(), 1, hang_after=60)
    assert probes["/livez"]() is None
    assert probes["/readyz"]() == "0 of 1 worker processes take jobs."


def test_queues_that_are_not_consumed_are_named(workers: Workers) -> None:
    for queue in ("images", "audio"):
        workers.consuming.labels(queue).set(0)
    assert workers.probes["/livez"]() is None
    assert workers.probes["/readyz"]() == "Not consumed: audio, images."
