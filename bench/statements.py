"""SQL statements per job, counted in PostgreSQL's log."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from bench.callboard_drain import callboard_on_rabbitmq
from bench.drains import Shape
from bench.services import Services

_STATEMENT = re.compile(r"LOG:  (?:statement|execute [^:]*): *(\w+)")
_TRANSACTION = {"BEGIN", "COMMIT", "ROLLBACK", "SET"}


@dataclass(frozen=True, slots=True)
class Statements:
    """Statements per job of dispatcher and workers, heartbeats and upkeep included."""

    work: float
    """Those that read or write."""
    transaction: float
    """Those that begin or end a transaction."""


def count_statements(services: Services, shape: Shape, *, jobs: int) -> Statements:
    """Work off a backlog and count what it took."""
    log = services.directory / "postgres" / "postgres.log"
    with callboard_on_rabbitmq(services, shape, log_statements=True) as callboard:
        begin = log.stat().st_size
        callboard.drain(jobs)
        written = log.read_bytes()[begin:].decode(errors="replace")
    verbs = Counter(_STATEMENT.findall(written))
    transaction = sum(count for verb, count in verbs.items() if verb in _TRANSACTION)
    return Statements((verbs.total() - transaction) / jobs, transaction / jobs)
