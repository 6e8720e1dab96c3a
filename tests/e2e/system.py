"""Callboard as its users run it: real processes on free ports of this machine."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

import psycopg
from psycopg.rows import dict_row

from callboard.embedded.account import server_account
from callboard.embedded.orphans import cluster_processes, read_postmaster_pid
from tests.e2e.client import Api
from tests.e2e.processes import Family, Process
from tests.support.ports import free_port
from tests.support.until import until

_LONGEST_START: Final = 60.0
_LONGEST_RUN: Final = 60.0
_LOG_LINES: Final = 60

#: Short enough for tests, long enough for a busy machine.
SETTINGS: Final = {
    "diagnostics": "true",
    "job_modules": "e2e_jobs,e2e_harm",
    "lease_ttl": "3",
    "hang_timeout": "30",
    "heartbeat_interval": "0.5",
    "stop_check_interval": "0.25",
    "maintenance_interval": "0.5",
    "reconcile_after": "2",
    "shutdown_grace": "5",
}


class System:
    """Processes that share a directory, a database and a port. A context manager: leaving it stops them all."""

    def __init__(self, directory: Path, **settings: str) -> None:
        """``settings`` win over :data:`SETTINGS`; names without ``CALLBOARD_``, in lower case."""
        directory.mkdir(parents=True)
        self.directory = directory
        self.family = Family()
        self.port = free_port()
        self.api = Api(f"http://127.0.0.1:{self.port}")
        self.settings = {**SETTINGS, "data_dir": str(directory / "data"), **settings}
        self.processes: dict[str, Process] = {}

    @property
    def database_url(self) -> str:
        return self.settings.get("database_direct_url", self.settings["database_url"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Stop everything.

        Raises:
            AssertionError: a process did not stop after SIGTERM, or left another one behind.
        """
        self.api.close()
        try:
            left = self.stop_all()
            # An error of the test itself says more than what it left behind.
            assert kind is not None or not left, f"left running: {left}\n{self.logs()}"
        finally:
            self.family.kill()
            shutil.rmtree(self.directory, ignore_errors=True)

    def start(self, name: str, *command: str, **settings: str) -> Process:
        """Start ``python -m`` something under a name that no running process of this system has."""
        assert name not in self.processes or not self.processes[name].running
        environment = self.family.environment({**self.settings, **settings})
        process = self.processes[name] = Process(name, command, environment, self.directory)
        return process

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run the command ``callboard`` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "callboard.cli", *arguments],
            cwd=self.directory,
            env=self.family.environment({**self.settings, **settings}),
            capture_output=True,
            text=True,
            timeout=_LONGEST_RUN,
            check=False,
        )

    def wait_until_ready(self, process: Process) -> None:
        """Wait until ``process`` serves."""
        until(lambda: self.api.is_ready() or not process.running, what=process.name, within=_LONGEST_START, every=0.05)
        assert process.running, f"{process.name} ended:\n{process.log()}"

    def stop_all(self) -> dict[int, str]:
        """Tell all processes to stop, and return those of the family that live even so."""
        running = [process for process in self.processes.values() if process.running]
        for process in running:
            process.send(signal.SIGTERM)
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
        return self.family.wait_until_gone(5)

    def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        """Return what an operator's SQL gives; ``callboard`` is on the search path."""
        with psycopg.connect(
            self.database_url, autocommit=True, row_factory=dict_row, options="-c search_path=callboard"
        ) as connection:
            cursor = connection.execute(query.encode(), parameters or None)
            return [] if cursor.description is None else cursor.fetchall()

    def history(self, *job_ids: str) -> list[dict[str, Any]]:
        """Return the history rows of jobs, in the order in which they started."""
        query = "SELECT * FROM job_history WHERE id = ANY(%s::uuid[]) ORDER BY started_at, id"
        return self.rows(query, list(job_ids))

    def wait_for_rows(self, query: str, *parameters: object, timeout: float = 30) -> list[dict[str, Any]]:
        """Return the rows of a query once there are any."""
        return until(lambda: self.rows(query, *parameters), what=f"a row of: {query}", within=timeout, every=0.05)

    def wait_until_none_live(self, timeout: float = 60) -> None:
        """Wait until all jobs are done."""
        self.wait_for_rows("SELECT 1 WHERE NOT EXISTS (SELECT FROM jobs)", timeout=timeout)

    def logs(self) -> str:
        """Return the last lines of every process."""
        return "\n".join(_end_of(process) for process in self.processes.values())


class Embedded(System):
    """``callboard up``: with a PostgreSQL of its own and messages in memory, unless ``settings`` say otherwise."""

    @property
    def database_url(self) -> str:
        given = self.settings.get("database_url")
        return given or (Path(self.settings["data_dir"]) / "database_url").read_text(encoding="utf-8").strip()

    @property
    def _cluster(self) -> Path:
        return Path(self.settings["data_dir"]) / "postgres" / "cluster"

    @property
    def up(self) -> Process:
        return self.processes["up"]

    def start_up(self, *, threads: int = 4) -> None:
        """Start it and wait until it serves."""
        process = self.start("up", "callboard.cli", "up", "--port", str(self.port), "--threads", str(threads))
        self.wait_until_ready(process)

    @property
    def postmaster(self) -> int:
        return read_postmaster_pid(self._cluster)

    def server_processes(self) -> list[int]:
        """Return the pids of its PostgreSQL, which is not of the family: it gets an environment of its own."""
        return cluster_processes(self._cluster, server_account(self._cluster)) if self._cluster.exists() else []

    def wait_until_gone(self, timeout: float) -> None:
        """Wait until nothing of it runs any more, PostgreSQL included."""
        until(lambda: not self.family.members() and not self.server_processes(), within=timeout)

    def stop_all(self) -> dict[int, str]:
        return super().stop_all() | dict.fromkeys(self.server_processes(), "PostgreSQL")


class Distributed(System):
    """``callboard api``, ``dispatcher`` and ``worker`` on a PostgreSQL and a RabbitMQ."""

    def start_control(self) -> None:
        """Migrate, start api and dispatcher, and wait until the api serves."""
        migrated = self.run("migrate")
        assert migrated.returncode == 0, migrated.stderr
        self.start_dispatcher()
        self.wait_until_ready(self.start("api", "callboard.cli", "api", "--port", str(self.port)))

    def start_dispatcher(self) -> Process:
        return self.start("dispatcher", "callboard.cli", "dispatcher")

    def start_worker(self, *options: str, name: str = "worker", **settings: str) -> Process:
        """Start ``callboard worker`` with these options."""
        return self.start(name, "callboard.cli", "worker", *options, **settings)

    def wait_for_workers(self, count: int = 1) -> list[dict[str, Any]]:
        """Wait until so many worker processes are registered, and return their rows."""
        running = "FROM workers WHERE state = 'running'"
        return self.wait_for_rows(f"SELECT * {running} AND (SELECT count(*) {running}) >= %s", count)

    def stop_workers(self) -> None:
        """Stop all workers in good order."""
        for process in list(self.processes.values()):
            if process.name not in {"api", "dispatcher"}:
                if process.running:
                    # Told before it could listen, it ends by the signal itself.
                    assert process.stop() in {0, -signal.SIGTERM}, process.log()
                del self.processes[process.name]

    def empty(self) -> None:
        """Forget all jobs, and all workers, of which none runs."""
        # DELETE, as TRUNCATE would deadlock with api and dispatcher, which read them in another order.
        for table in ("jobs", "job_history", "job_attempts", "job_progress", "workers"):
            self.rows(f"DELETE FROM {table}")


def _end_of(process: Process) -> str:
    title = f"--- {process.name} ({'running' if process.running else 'ended'})"
    return "\n".join([title, *process.log().splitlines()[-_LOG_LINES:]])


def wait_for(path: Path, timeout: float = 60) -> None:
    """Wait until a handler has left a file."""
    until(path.exists, what=str(path), within=timeout)


def ids_of(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the job ids of history rows, in their order."""
    return [str(row["id"]) for row in rows]
