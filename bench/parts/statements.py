"""SQL statements per job, counted in PostgreSQL's log."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg

from bench.callboard_drain import callboard_embedded, callboard_on_rabbitmq
from bench.drains import Contestant, Shape
from bench.effort import Effort
from bench.parts.drain import EMBEDDED, ON_RABBITMQ
from bench.peer_drain import peer_contestant
from bench.peer_list import PEERS
from bench.results import Figure, Part
from bench.services import Services

BEFORE_BATCHING = "Callboard on RabbitMQ, 1 × 1 threads"

_STATEMENT = re.compile(r"LOG:  (?:statement|execute [^:]*): *(\w+)")
_TRANSACTION = {"BEGIN", "COMMIT", "ROLLBACK", "SET"}
_FEW = 200


def measure_statements(services: Services, effort: Effort) -> Part:
    """Statements of all processes of a contestant, submission, heartbeats and upkeep included."""
    one, many = Shape(1, 1), Shape(2, 64)
    contestants: dict[str, tuple[AbstractContextManager[Contestant], int]] = {
        BEFORE_BATCHING: (callboard_on_rabbitmq(services, one), _FEW),
        f"{ON_RABBITMQ}, {many}": (callboard_on_rabbitmq(services, many), effort.jobs),
        f"{EMBEDDED}, 1 × 32 threads": (callboard_embedded(services, 32), effort.jobs),
    }
    contestants |= {peer.name: (peer_contestant(services, peer), _FEW) for peer in PEERS}
    part = Part(1)
    with statements_logged(services):
        for name, (opening, jobs) in contestants.items():
            with opening as contestant:
                work, every = count_statements(services, contestant, jobs)
            part.figures[name] = Figure([work], "statements a job")
            part.figures[f"{name}, with BEGIN, COMMIT and SET"] = Figure([every], "statements a job")
    return part


def count_statements(services: Services, contestant: Contestant, jobs: int) -> tuple[float, float]:
    """Return the statements for each of so many jobs, without and with those that begin and end transactions."""
    log = services.directory / "postgres" / "postgres.log"
    begin = log.stat().st_size
    contestant.drain(jobs)
    written = log.read_bytes()[begin:].decode(errors="replace")
    verbs = Counter(_STATEMENT.findall(written))
    work = verbs.total() - sum(count for verb, count in verbs.items() if verb.upper() in _TRANSACTION)
    return work / jobs, verbs.total() / jobs


@contextmanager
def statements_logged(services: Services) -> Iterator[None]:
    """Have PostgreSQL log every statement."""
    with psycopg.connect(services.postgres_url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET log_statement = 'all'")
        connection.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            connection.execute("ALTER SYSTEM RESET log_statement")
            connection.execute("SELECT pg_reload_conf()")
