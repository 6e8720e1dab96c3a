"""``--metrics-port``: the metrics of worker and dispatcher processes over HTTP, for Prometheus."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from db.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class MetricsAddress:
    """Where metrics are served, at every path; whoever reaches it may read them."""

    host: str
    port: int


@contextmanager
def serving_metrics(address: MetricsAddress | None, registry: CollectorRegistry) -> Iterator[None]:
    """Serve what ``registry`` has to tell until the end of the block; nothing where ``address`` is None.

    Raises:
        ConfigurationError: the address cannot be bound.
    """
    if address is None:
        yield
        return
    try:
        server, thread = start_http_server(address.port, address.host, registry)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot serve metrics on {address.host}:{address.port}: {error.strerror}. Choose another --metrics-port."
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class ChildMetrics:
    """The metrics of all children of a supervisor, as one: each writes its own into files, which are summed up."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.registry = CollectorRegistry()
        MultiProcessCollector(self.registry, str(folder))  # type: ignore[no-untyped-call]

    @property
    def environment(self) -> dict[str, str]:
        """What children need to know."""
        return {"PROMETHEUS_MULTIPROC_DIR": str(self._folder)}

    def died(self, pid: int) -> None:
        """Forget what a child was doing when it died; what it had done counts on."""
        mark_process_dead(pid, str(self._folder))  # type: ignore[no-untyped-call]


@contextmanager
def metrics_of_children(address: MetricsAddress | None) -> Iterator[ChildMetrics | None]:
    """Serve the metrics of children until the end of the block; None, and nothing, where ``address`` is None.

    Raises:
        ConfigurationError: the address cannot be bound.
    """
    if address is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="callboard-metrics-") as folder:
        children = ChildMetrics(Path(folder))
        with serving_metrics(address, children.registry):
            yield children
