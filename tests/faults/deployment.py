"""The system under fire: two apis, two dispatchers, three workers, one RabbitMQ and one PostgreSQL, all real."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
from psycopg.rows import dict_row

from callboard.db.schema.migrate import migrate
from callboard.embedded.postgres import EmbeddedPostgres
from tests.e2e.processes import Family, Process
from tests.faults.proxy import Network, Way
from tests.services.rabbitmq import private_rabbitmq
from tests.support.databases import settings_of
from tests.support.ports import free_port

Value = TypeVar("Value")

LEASE: Final = 4.0
HANG_TIMEOUT: Final = 10.0
VHOST: Final = "/"
WORKERS: Final = ("worker-1", "worker-2", "worker-3")
DISPATCHERS: Final = ("dispatcher-1", "dispatcher-2")
APIS: Final = ("api-1", "api-2")
ROLES: Final = {"api": APIS, "dispatcher": DISPATCHERS, "worker": WORKERS}

_THREADS: Final = 12
_LONGEST_START: Final = 60.0
_PATIENCE: Final = 30.0
_LOG_LINES: Final = 15
# Seconds; short, so that a scenario takes no minutes.
_SETTINGS: Final = {
    "job_modules": "tests.faults.jobs,tests.faults.hostile_jobs",
    "lease_ttl": f"{LEASE:g}",
    "hang_timeout": f"{HANG_TIMEOUT:g}",
    "heartbeat_interval": "0.5",
    "stop_check_interval": "0.25",
    "maintenance_interval": "0.5",
    "dispatch_poll_interval": "0.5",
    "reconcile_after": "2",
    "shutdown_grace": "3",
    "connect_timeout": "2",
    "statement_timeout": "4",
    "confirm_timeout": "3",
    "log_format": "json",
}


class Deployment:
    """All of it. A context manager: leaving it stops and removes everything."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ledger = directory / "ledger"
        self.deaths: dict[int, float] = {}
        """When processes were killed, by pid."""
        self.processes: dict[str, Process] = {}
        self._ports = {name: free_port() for name in APIS}
        self._family = Family()
        self._stack = ExitStack()
        # What is started is told to stop when the thread that started it ends, so one that lasts starts everything.
        self._keeper = ThreadPoolExecutor(1, thread_name_prefix="keeper")

    def __enter__(self) -> Self:
        with self._stack:
            self._stack.callback(self._keeper.shutdown)
            self.rabbitmq = self._stack.enter_context(private_rabbitmq())
            self.postgres = self._stack.enter_context(EmbeddedPostgres(self.directory / "postgres"))
            self.database_url = self.postgres.ensure_running()
            migrate(settings_of(self.database_url))
            network = self._stack.enter_context(Network())
            self.to_postgres = {role: network.way_to(_port(self.database_url)) for role in ROLES}
            self.to_rabbitmq = {role: network.way_to(self.rabbitmq.port) for role in ("dispatcher", "worker")}
            self._stack.callback(self._family.kill)
            self._stack.callback(self._stop_all)
            for name in (*APIS, *DISPATCHERS, *WORKERS):
                self.start(name)
            self.wait_until_ready()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def urls(self) -> list[str]:
        """Where the apis are."""
        return [f"http://127.0.0.1:{port}" for port in self._ports.values()]

    @property
    def ways(self) -> list[Way]:
        """Every way of the network."""
        return [*self.to_postgres.values(), *self.to_rabbitmq.values()]

    def start(self, name: str, environment: Mapping[str, str] | None = None) -> None:
        """Start a process that does not run, with these variables beside its own."""
        self._keeper.submit(self._start, name, environment or {}).result()

    def kill(self, name: str) -> None:
        """End a process and its children at once, as a machine does that loses power."""
        process = self.processes[name]
        children = process.children() if process.running else []
        process.send(signal.SIGSTOP)  # a supervisor must not see its child die, nor live to see it
        for pid in children:
            self.kill_pid(pid)
        process.kill()

    def kill_pid(self, pid: int) -> None:
        """End a process at once, and write down when."""
        self.signal(pid, signal.SIGKILL)
        self.deaths[pid] = time.time()

    def signal(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to a process of the system; harmless after its end."""
        assert pid in self._family.members() or not Path(f"/proc/{pid}").exists()
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    def stop(self, name: str) -> int:
        """Tell a process to stop (SIGTERM), wait for its end, and return its exit code."""
        process = self.processes[name]
        return process.stop(timeout=_PATIENCE)

    def retire(self, name: str) -> None:
        """Stop a process that is not to run any more."""
        self.stop(name)
        del self.processes[name]

    def dead(self) -> list[str]:
        """Return the names of processes that do not run, though they should."""
        return [name for name, process in self.processes.items() if not process.running]

    def wait_until_ready(self) -> None:
        """Wait until both apis serve and every worker has registered."""
        self._until(lambda: all(map(_is_ready, self.urls)), "an api does not serve")
        registered = "SELECT count(DISTINCT name) AS count FROM workers WHERE state = 'running'"
        self._until(lambda: self.rows(registered)[0]["count"] >= len(WORKERS), "a worker has not registered")

    def wait_until_consuming(self) -> None:
        """Wait until RabbitMQ has a consumer of each worker on each of its queues."""
        lookup = f'length(rabbit_amqqueue:consumers_all(<<"{VHOST}">>))'
        queues = len(self.rows("SELECT name FROM queues"))
        self._until(lambda: int(self.rabbitmq.evaluate(lookup)) >= queues * len(WORKERS), "a worker does not consume")

    def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        """Return what SQL gives, asked of PostgreSQL itself; ``callboard`` is on the search path."""
        options = "-c search_path=callboard -c default_transaction_read_only=off"
        with psycopg.connect(self.database_url, autocommit=True, row_factory=dict_row, options=options) as connection:
            cursor = connection.execute(query.encode(), parameters or None)
            return [] if cursor.description is None else cursor.fetchall()

    def on_keeper(self, step: Callable[[], Value]) -> Value:
        """Call ``step`` in the thread that may start processes."""
        return self._keeper.submit(step).result()

    def _start(self, name: str, more: Mapping[str, str]) -> None:
        assert name not in self.processes or not self.processes[name].running
        role = name.split("-", maxsplit=1)[0]
        command = {
            "api": ["api", "--port", str(self._ports.get(name, 0))],
            "dispatcher": ["dispatcher"],
            "worker": ["worker", "--threads", str(_THREADS), "--name", name],
            # Dispatcher and worker in one process, with messages in memory. Nobody asks its api.
            "up": ["up", "--threads", str(_THREADS), "--port", str(free_port())],
        }[role]
        settings = {
            **_SETTINGS,
            "data_dir": str(self.directory / "data"),
            "database_url": _by_way_of(self.database_url, self.to_postgres.get(role)),
        }
        if role != "up":
            settings["amqp_url"] = _by_way_of(self.rabbitmq.url, self.to_rabbitmq.get(role))
        environment = {**self._family.environment(settings), **more}
        self.processes[name] = Process(name, ["callboard.cli", *command], environment, self.directory)

    def _stop_all(self) -> None:
        for process in self.processes.values():
            process.send(signal.SIGTERM)
        self._family.wait_until_gone(_PATIENCE)

    def _until(self, condition: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + _LONGEST_START
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{otherwise} after {_LONGEST_START:g} s\n{self.logs()}")
            time.sleep(0.1)

    def shorten_logs(self) -> None:
        """Begin new logs."""
        for path in self.directory.glob("*.log"):
            os.truncate(path, 0)  # they are appended to

    def keep_logs(self, directory: Path) -> None:
        """Copy the logs, and the ledger, to a new directory."""
        directory.mkdir(parents=True, exist_ok=True)
        for path in (*self.directory.glob("*.log"), self.directory / "postgres" / "postgres.log", self.ledger):
            if path.exists():
                shutil.copy(path, directory)

    def logs(self) -> str:
        """Return the last lines of every process."""
        return "\n".join(
            f"--- {name}\n" + "\n".join(each.log().splitlines()[-15:]) for name, each in self.processes.items()
        )


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=2).is_success
    except httpx.TransportError:
        return False


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def _by_way_of(url: str, way: Way | None) -> str:
    if way is None:
        return url
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{way.port}")))
