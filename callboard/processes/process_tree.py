"""What a process and all its descendants use, as metrics, and which build runs."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from callboard.actors.execution.isolation.descendants import descendants
from callboard.db.version import VERSION

_PROC: Final = Path("/proc")
#: Fields of /proc/pid/stat after the name in parentheses, see proc_pid_stat(5): utime, stime, cutime and cstime, in
#: ticks, of the process and of the children that it has waited for; and rss, in pages.
_TIMES: Final = slice(11, 15)
_RSS: Final = 21


class ProcessTree(Collector):
    """Processor time, memory and open files of this process and its descendants, by the usual names. Linux only."""

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics. Processor time never falls: a process that waited for another has its time."""
        ticks = pages = files = 0
        for pid in (os.getpid(), *descendants(os.getpid())):
            with suppress(OSError):  # it has ended meanwhile
                fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
                ticks += sum(map(int, fields[_TIMES]))
                pages += int(fields[_RSS])
                files += len(list((_PROC / str(pid) / "fd").iterdir()))
        if ticks:
            yield CounterMetricFamily(
                "process_cpu_seconds", "Processor time of all processes here.", value=ticks / os.sysconf("SC_CLK_TCK")
            )
            yield GaugeMetricFamily(
                "process_resident_memory_bytes",
                "Memory of all processes here; what they share is counted for each.",
                value=pages * os.sysconf("SC_PAGE_SIZE"),
            )
            yield GaugeMetricFamily("process_open_fds", "Open files of all processes here.", value=files)
        build = GaugeMetricFamily("callboard_build_info", "What runs here; always 1.", labels=["version", "python"])
        build.add_metric([VERSION, platform.python_version()], 1)
        yield build
