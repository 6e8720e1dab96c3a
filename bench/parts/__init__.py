"""The parts of the benchmark: each measures one thing, beside what it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bench.effort import Effort
from bench.parts.drain import measure_drain
from bench.parts.http import measure_http
from bench.parts.latency import measure_latency
from bench.parts.limits import measure_limits
from bench.parts.mix import measure_mix
from bench.parts.peers import measure_peers
from bench.parts.scale import measure_scale
from bench.parts.statements import measure_statements
from bench.parts.waiting import measure_waiting
from bench.results import Part
from bench.services import Services

MeasurePart = Callable[[Services, Effort], Part]

#: What `make bench` measures, in order.
PARTS: Final[Mapping[str, MeasurePart]] = {
    "drain": measure_drain,
    "peers": measure_peers,
    "http": measure_http,
    "latency": measure_latency,
    "mix": measure_mix,
    "limits": measure_limits,
    "statements": measure_statements,
    "scale": measure_scale,
    "waiting": measure_waiting,
}
