"""``--metrics-port``: metrics and probes of worker and dispatcher processes, for Prometheus and Kubernetes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from callboard.db.errors import ConfigurationError
from callboard.processes.child_metrics import ChildMetrics
from callboard.processes.probes import Probe, worker_probes
from callboard.processes.process_tree import ProcessTree


@dataclass(frozen=True, slots=True)
class MetricsAddress:
    """Address of metrics and probes, which need no authentication."""

    host: str
    port: int


class _Handler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Log no requests."""


class _Ipv6Server(ThreadingWSGIServer):
    address_family = socket.AF_INET6


@contextmanager
def serving_metrics(
    address: MetricsAddress | None, registry: CollectorRegistry, probes: Mapping[str, Probe]
) -> Iterator[None]:
    """Serve metrics and probes until the end of the block; nothing if ``address`` is None.

    Args:
        address: to listen on.
        registry: the metrics of ``/metrics``; those of the processes are added.
        probes: by path. The response is 200, or 503 with the reason.

    Raises:
        ConfigurationError: the address cannot be bound.
    """
    if address is None:
        yield
        return
    kind = _Ipv6Server if ":" in address.host else ThreadingWSGIServer
    try:
        server = make_server(address.host, address.port, _application(registry, probes), kind, _Handler)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot serve metrics on {address.host}:{address.port}: {error.strerror}. Choose another --metrics-port."
        ) from error
    registry.register(ProcessTree())
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _application(registry: CollectorRegistry, probes: Mapping[str, Probe]) -> WSGIApplication:
    metrics: WSGIApplication = make_wsgi_app(registry)

    def respond(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        probe = probes.get(environ["PATH_INFO"])
        if probe is None:
            return list(metrics(environ, start_response))
        problem = probe()
        status = "200 OK" if problem is None else "503 Service Unavailable"
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{problem or 'ok'}\n".encode()]

    return respond


@contextmanager
def metrics_of_children(
    address: MetricsAddress | None, *, workers: int, hang_after: float
) -> Iterator[ChildMetrics | None]:
    """Serve metrics and probes of worker processes until the end of the block; nothing, and None, without an address.

    Args:
        address: to listen on.
        workers: number of processes.
        hang_after: seconds after which the supervisor kills a worker that hangs.

    Raises:
        ConfigurationError: the address cannot be bound.
    """
    if address is None:
        yield None
        return
    with ChildMetrics.temporary() as children:
        registry = children.registry()
        probes = worker_probes(registry, workers, hang_after=hang_after)
        with serving_metrics(address, registry, probes):
            yield children
