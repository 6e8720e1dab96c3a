"""``--metrics-port``: what all processes of a worker did, as one, also after some of them died."""

from __future__ import annotations

import os
import platform
import signal
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from callboard.db.version import VERSION
from tests.e2e.stage import Stage
from tests.e2e.system import Distributed, Embedded
from tests.support.ports import free_port
from tests.support.until import until

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(port: int) -> Samples:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        text = response.read().decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((f"callboard_{name}", frozenset(labels.items())), 0.0)


def until_samples(port: int, condition: Callable[[Samples], bool]) -> Samples:
    """Return the samples that the port serves, once they fulfil the condition."""

    def fulfilling() -> Samples | None:
        try:
            samples = scrape(port)
        except OSError:  # it does not serve yet
            return None
        return samples if condition(samples) else None

    samples = until(fulfilling, within=60, every=0.1)
    assert samples is not None
    return samples


@pytest.mark.timeout(240)
def test_the_numbers_of_all_processes_are_one(workerless: Distributed) -> None:
    port = free_port()
    api = workerless.api
    worker = workerless.start_worker("--processes", "2", "--threads", "2", "--metrics-port", str(port))
    workerless.wait_for_workers(2)
    assert value(until_samples(port, lambda got: value(got, "worker_threads") == 4), "worker_busy_threads") == 0

    held = [api.submit("diagnostics.sleep", {"seconds": 600, "steps": 6000}) for _ in range(3)]
    until_samples(port, lambda got: value(got, "worker_busy_threads") == 3)
    for job_id in held:
        api.cancel(job_id)
    done = [api.submit("diagnostics.noop") for _ in range(20)]
    failed = api.submit("diagnostics.fail", {}, max_retries=0)
    for job_id in (*held, *done, failed):
        api.wait(job_id)

    def ended(samples: Samples, job_type: str, outcome: str) -> float:
        return value(samples, "attempt_duration_seconds_count", type=job_type, outcome=outcome)

    samples = until_samples(port, lambda got: ended(got, "diagnostics.noop", "succeeded") == 20)
    assert ended(samples, "diagnostics.sleep", "cancelled") == 3
    assert ended(samples, "diagnostics.fail", "failed") == 1

    of_noops = {"type": "diagnostics.noop", "queue": "diagnostics"}
    assert value(samples, "jobs_finished_total", **of_noops, outcome="succeeded") == 20
    assert value(samples, "job_wait_seconds_count", **of_noops) == 20
    assert value(samples, "jobs_finished_total", type="diagnostics.fail", queue="diagnostics", outcome="failed") == 1

    used = samples["process_cpu_seconds_total", frozenset()]
    assert used > 0
    assert samples["process_resident_memory_bytes", frozenset()] > 50_000_000
    assert value(samples, "build_info", version=VERSION, python=platform.python_version()) == 1
    assert not [name for name, _ in samples if name.endswith("_created") or name.startswith("callboard_dispatch")]

    crashed = api.submit("diagnostics.crash", {"on_attempt": 1})
    api.wait(crashed)
    samples = until_samples(
        port, lambda got: value(got, "worker_threads") == 4 and value(got, "worker_busy_threads") == 0
    )
    assert ended(samples, "diagnostics.noop", "succeeded") == 20, "what a process did counts on after its death"
    assert samples["process_cpu_seconds_total", frozenset()] >= used
    assert not [labels for name, labels in samples if any(job_id in dict(labels).values() for job_id in done)]
    assert worker.stop() == 0
    with pytest.raises(OSError):  # noqa: PT011 - nothing listens any more
        scrape(port)


def test_a_dispatcher_counts_what_it_publishes(workerless: Distributed) -> None:
    port = free_port()
    # Beside the dispatcher of the system; whichever is first publishes.
    second = workerless.start("second dispatcher", "callboard.cli", "dispatcher", "--metrics-port", str(port))
    until_samples(port, lambda got: ("callboard_broker_failures_total", frozenset()) in got)
    workerless.processes["dispatcher"].stop()
    for _ in range(5):
        workerless.api.submit("diagnostics.noop")
    until_samples(port, lambda got: value(got, "dispatched_total", queue="diagnostics") == 5)
    samples = scrape(port)
    assert not [name for name, _ in samples if name.endswith("_created") or name.startswith("callboard_worker")]
    soon = datetime.now(UTC) + timedelta(seconds=2)
    workerless.api.wait(workerless.api.submit("diagnostics.noop", expires_at=soon.isoformat()))
    expired = {"type": "diagnostics.noop", "queue": "diagnostics", "outcome": "expired"}
    until_samples(port, lambda got: value(got, "jobs_finished_total", **expired) == 1)
    workerless.start_dispatcher()
    assert second.stop() == 0


def test_under_up_the_api_shows_those_of_the_work_process(stage: Stage) -> None:
    system = stage.put_up(Embedded)
    system.start_up(threads=3)
    of_noops = {"type": "diagnostics.noop", "queue": "diagnostics"}
    done = 0

    def after(jobs: int) -> Samples:
        """Return the samples once so many jobs more are counted, and one work process is."""
        for job_id in [system.api.submit("diagnostics.noop") for _ in range(jobs)]:
            system.api.wait(job_id)
        nonlocal done
        done += jobs
        return until_samples(
            system.port,
            lambda got: (
                value(got, "worker_threads") == 3
                and value(got, "worker_ready_processes") == 1
                and value(got, "jobs_finished_total", **of_noops, outcome="succeeded") == done
            ),
        )

    samples = after(5)
    assert value(samples, "jobs_submitted_total", **of_noops) == 5
    assert value(samples, "job_wait_seconds_count", **of_noops) == 5
    assert value(samples, "dispatched_total", queue="diagnostics") >= 5
    assert value(samples, "database_up") == 1
    assert samples["process_cpu_seconds_total", frozenset()] > 0

    for role in ("work", "api"):
        [pid] = [pid for pid, command in system.family.members().items() if f"processes.child {role}" in command]
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: pid not in system.family.members())  # type: ignore[misc]
        system.wait_until_ready(system.up)
        # Its gauges went with it, its counts did not.
        samples = after(1)
        assert value(samples, "jobs_submitted_total", **of_noops) == done
