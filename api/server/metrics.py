"""Metrics of this process for Prometheus. Labels are routes, job types, queues and states: never ids or owners."""

from __future__ import annotations

import platform
from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.routing import Route
from starlette.types import Scope

from callboard.db.fleet.gauges import Gauges
from callboard.db.fleet.workers import WorkerState
from callboard.db.models.job_view import JobView
from callboard.db.rules.states import LIVE, Status
from callboard.db.transitions import NewJob
from callboard.db.version import VERSION

# A second series beside each, which says when it began: nothing reads it.
disable_created_metrics()  # type: ignore[no-untyped-call]

#: Seconds. Polls take well below a millisecond, waits up to a minute.
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"})
#: One label for unknown paths and methods: scanners cannot make more series.
_OTHER: Final = "other"


class Metrics:
    """The counters of one api process."""

    def __init__(self, routes: Iterable[Route], *, directory: Path | None = None) -> None:
        """
        Args:
            routes: those that bypass FastAPI's router. For the others, the router puts the route into the scope.
            directory: where this process and others keep their numbers (``PROMETHEUS_MULTIPROC_DIR``), which are shown
                as one. None: this process is alone, and has them in memory.
        """
        self._paths: dict[object, str] = {route.endpoint: route.path_format for route in routes}
        self._registry = CollectorRegistry()
        numbers: Collector = self._registry
        if directory is not None:
            numbers = MultiProcessCollector(None, str(directory))  # type: ignore[no-untyped-call]
        self._collectors = (ProcessCollector(registry=None), numbers)
        self._requests = Histogram(
            "callboard_http_request_duration_seconds",
            "From a request to the beginning of its answer; waits that the client asked for are part of it.",
            ["method", "route", "status"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._submitted = Counter(
            "callboard_jobs_submitted",
            "Jobs that this process has made, by type and queue.",
            ["type", "queue"],
            registry=self._registry,
        )
        self._finished = Counter(
            "callboard_jobs_finished",
            "Jobs that this process has ended; outcome: succeeded, failed, cancelled or expired.",
            ["type", "queue", "outcome"],
            registry=self._registry,
        )
        # labels() costs more than counting.
        self._series: dict[tuple[str, str, int], Histogram] = {}
        self._submitted_series: dict[tuple[str, str], Counter] = {}

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request whose response begins.

        Args:
            scope: of the request, after routing.
            status: of the response.
            seconds: from the request until now.
        """
        route = scope.get("route")
        path = self._paths.get(scope.get("endpoint"), _OTHER) if route is None else route.path_format
        method = scope["method"] if scope["method"] in _METHODS else _OTHER
        key = (method, path, status)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = self._requests.labels(method, path, str(status))
        series.observe(seconds)

    def submitted(self, new: Iterable[NewJob]) -> None:
        """Count jobs that have been submitted."""
        for key, count in Tally((job.type, job.queue) for job in new).items():
            series = self._submitted_series.get(key)
            if series is None:
                series = self._submitted_series[key] = self._submitted.labels(*key)
            series.inc(count)

    def finished(self, row: JobView) -> None:
        """Count a job that a request has ended, as it is now."""
        self._finished.labels(row["type"], row["queue"], row["status"]).inc()

    def exposition(self, gauges: Gauges | None, *, open_streams: int) -> _Exposition:
        """Return all metrics, for ``prometheus_client.generate_latest``.

        Args:
            gauges: read from the database; None while it is away.
            open_streams: the number of open live streams.
        """
        families: list[Metric] = [
            _gauge("database_up", "Whether the database answered.", [], [((), 0 if gauges is None else 1)]),
            _gauge(
                "build_info",
                "What runs here; always 1.",
                ["version", "python"],
                [((VERSION, platform.python_version()), 1)],
            ),
            _gauge("open_streams", "Live streams that clients read here.", [], [((), open_streams)]),
        ]
        if gauges is not None:
            families += _of_database(gauges)
        return _Exposition(self._collectors, families)


class _Exposition:
    """The part of a CollectorRegistry that ``generate_latest`` uses."""

    def __init__(self, collectors: Iterable[Collector], families: Iterable[Metric]) -> None:
        self._collectors = collectors
        self._families = families

    def collect(self) -> Iterator[Metric]:
        for collector in self._collectors:
            yield from collector.collect()
        yield from self._families


def _of_database(gauges: Gauges) -> list[Metric]:
    oldest: dict[str, float] = {row["queue"]: 0.0 for row in gauges.queues}
    for row in gauges.jobs:
        if row["status"] == Status.QUEUED:
            oldest[row["queue"]] = max(oldest.get(row["queue"], 0.0), float(row["oldest_waiting_age"]))
    workers = dict.fromkeys(WorkerState, 0) | {WorkerState(row["state"]): row["workers"] for row in gauges.workers}
    statuses = Tally(dict.fromkeys(LIVE, 0))
    for row in gauges.jobs:
        statuses[Status(row["status"])] += row["jobs"]
    unknown: Tally[tuple[str, str]] = Tally()
    for row in gauges.jobs:
        if row["waiting_for_worker"]:
            unknown[row["type"], row["queue"]] += row["waiting_for_worker"]
    return [
        _gauge(
            "jobs",
            "Live jobs.",
            ["status", "type", "queue"],
            [((row["status"], row["type"], row["queue"]), row["jobs"]) for row in gauges.jobs],
        ),
        _gauge(
            "live_jobs",
            "Live jobs of all types and queues, also where there are none.",
            ["status"],
            [((status,), statuses[status]) for status in sorted(statuses)],
        ),
        _gauge(
            "jobs_waiting_for_worker",
            "Live jobs that wait for a worker that knows their type.",
            ["type", "queue"],
            [((type_, queue), jobs) for (type_, queue), jobs in sorted(unknown.items())],
        ),
        _gauge(
            "queue_oldest_waiting_seconds",
            "Since the queued job that waits longest was due; 0 where none waits.",
            ["queue"],
            [((queue,), max(0.0, seconds)) for queue, seconds in sorted(oldest.items())],
        ),
        _gauge(
            "queue_paused",
            "1 while the queue is paused.",
            ["queue"],
            [((row["queue"],), row["paused"]) for row in gauges.queues],
        ),
        _gauge(
            "workers",
            "Worker processes that were seen in the last day.",
            ["state"],
            [((state,), count) for state, count in sorted(workers.items())],
        ),
    ]


def _gauge(
    name: str, documentation: str, labels: Sequence[str], values: Iterable[tuple[tuple[Any, ...], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"callboard_{name}", documentation, labels=labels)
    for label_values, value in values:
        family.add_metric([str(label) for label in label_values], value)
    return family
