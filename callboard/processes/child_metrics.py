"""The metrics of the children of a supervisor, as one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

_MEMORY: Final = "/dev/shm"  # noqa: S108 - a directory of our own is made there


class ChildMetrics:
    """The metrics of all children of a supervisor: each writes its own into files, which are summed up."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @classmethod
    @contextmanager
    def temporary(cls) -> Iterator[ChildMetrics]:
        """Keep the files until the end of the block."""
        # In memory, where there is such a directory: the children map the files, and are killed when a disk is full.
        in_memory = _MEMORY if os.access(_MEMORY, os.W_OK) else None
        with tempfile.TemporaryDirectory(prefix="callboard-metrics-", dir=in_memory) as directory:
            yield cls(Path(directory))

    @property
    def environment(self) -> dict[str, str]:
        """Variables for the children."""
        return {"PROMETHEUS_MULTIPROC_DIR": str(self.directory)}

    def registry(self) -> CollectorRegistry:
        """Return a registry that collects them all."""
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self.directory))  # type: ignore[no-untyped-call]
        return registry

    def died(self, pid: int) -> None:
        """Drop the gauges of a child that has died; its counters still count."""
        mark_process_dead(pid, str(self.directory))  # type: ignore[no-untyped-call]
