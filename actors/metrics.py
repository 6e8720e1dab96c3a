"""Prometheus metrics of workers. Labels are job types, queues and outcomes: never ids or owners.

If ``PROMETHEUS_MULTIPROC_DIR`` is in a process's environment when it starts, prometheus_client keeps the numbers in
files there, and a supervisor sums them up over its children. Otherwise they are in memory.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

# A second series beside each, which says when it began: nothing reads it.
disable_created_metrics()  # type: ignore[no-untyped-call]

#: All of them.
REGISTRY: Final = CollectorRegistry()

#: Buckets in seconds; the last ones are for long jobs.
_SECONDS: Final = (
    0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0
)  # fmt: skip

#: From claim to record.
ATTEMPT_DURATION: Final = Histogram(
    "callboard_attempt_duration_seconds",
    "Attempts that ended, from claim to record; lost: the outcome was not recorded, as the attempt was fenced out.",
    ["type", "outcome"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
#: Dispatchers show it, too: as one object, since files have one place for each series of a process.
JOBS_FINISHED: Final = Counter(
    "callboard_jobs_finished",
    "Jobs that this process has ended; outcome: succeeded, failed, cancelled or expired.",
    ["type", "queue", "outcome"],
    registry=REGISTRY,
)
JOB_WAIT: Final = Histogram(
    "callboard_job_wait_seconds",
    "From when a job was due until its first attempt started.",
    ["type", "queue"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
BUSY_THREADS: Final = Gauge(
    "callboard_worker_busy_threads", "Attempts that run now.", registry=REGISTRY, multiprocess_mode="livesum"
)
THREADS: Final = Gauge(
    "callboard_worker_threads", "Attempts that may run at a time.", registry=REGISTRY, multiprocess_mode="livesum"
)
READY: Final = Gauge(
    "callboard_worker_ready_processes",
    "Worker processes that are registered and consume all their queues.",
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
CONSUMING: Final = Gauge(
    "callboard_worker_consuming",
    "1 while all worker processes here consume the queue, 0 while one of them does not.",
    ["queue"],
    registry=REGISTRY,
    multiprocess_mode="livemin",
)
CHECKED: Final = Gauge(
    "callboard_worker_checked_timestamp_seconds",
    "When the worker process that is latest with it looked at its threads, which is due twice a second.",
    registry=REGISTRY,
    multiprocess_mode="livemin",
)
