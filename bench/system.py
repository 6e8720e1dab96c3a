"""Callboard's processes, started as a deployment starts them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import psycopg

from bench.processes import BenchFailed, Child
from bench.services import Services
from callboard.db.settings import Settings

QUEUE = "diagnostics"
#: Where processes give their signs of life: their standard output, which nobody reads.
PULSE = "1"
_START_TIMEOUT = 60.0


@dataclass(frozen=True)
class System:
    """Running processes by role."""

    settings: Settings
    children: Mapping[str, list[Child]]

    def check(self) -> None:
        """Return if all run.

        Raises:
            BenchFailed: one has ended.
        """
        for child in self.all():
            child.check()

    def all(self) -> list[Child]:
        return [child for children in self.children.values() for child in children]


@contextmanager
def running(
    services: Services,
    settings: Settings,
    roles: Iterable[tuple[str, Mapping[str, Any]]],
    *,
    names: Sequence[str] = (QUEUE,),
    environment: Mapping[str, str] | None = None,
) -> Iterator[System]:
    """Start a process for each role with its options, and stop them at the end of the block.

    Args:
        names: queues that are there before the block begins.
        environment: settings beside those of all benchmarks.
    """
    files = services.directory / "files"
    files.mkdir(exist_ok=True)
    variables = {
        "CALLBOARD_DATABASE_URL": settings.require_database_url(),
        "CALLBOARD_DIAGNOSTICS": "true",
        "CALLBOARD_JOB_MODULES": "bench.jobs",
        "CALLBOARD_LOG_LEVEL": "warning",
        # What is measured is submissions, not when an open server has enough of them.
        "CALLBOARD_MAX_LIVE_JOBS": "0",
        "CALLBOARD_FILES_URL": files.as_uri(),
    } | dict(environment or {})
    if settings.amqp_url is not None:
        variables["CALLBOARD_AMQP_URL"] = settings.amqp_url.get_secret_value()
    children: dict[str, list[Child]] = {}
    with ExitStack() as stack:
        for role, options in roles:
            child = Child(
                "callboard.processes.child",
                role,
                str(os.getpid()),
                PULSE,
                orjson.dumps(options).decode(),
                environment=variables,
                log=services.directory / f"{role}.log",
            )
            stack.callback(child.stop)
            children.setdefault(role, []).append(child)
        system = System(settings, children)
        _wait_for_workers(system, names)
        yield system


def _wait_for_workers(system: System, names: Sequence[str]) -> None:
    expected = len(system.children.get("worker", ())) + len(system.children.get("work", ()))
    ready = (
        "SELECT count(*) FROM callboard.workers WHERE (SELECT count(*) FROM callboard.queues WHERE name = ANY(%s)) = %s"
    )
    give_up_at = time.monotonic() + _START_TIMEOUT
    with psycopg.connect(system.settings.require_database_url(), autocommit=True) as connection:
        while connection.execute(ready, [list(names), len(names)]).fetchone() < (expected,):  # type: ignore[operator]
            system.check()
            if time.monotonic() > give_up_at:
                raise BenchFailed("the workers did not register")
            time.sleep(0.02)
