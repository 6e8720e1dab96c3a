"""``callboard up``: the whole system on one machine, without any setup."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Mapping
from typing import Any

from callboard.db.access.keys import read_keys
from callboard.db.errors import ConfigurationError
from callboard.db.fleet.workers import declare_lost
from callboard.db.schema.migrate import migrate
from callboard.db.schema.suitability import require_suitable
from callboard.db.settings import Settings, load_settings
from callboard.db.sql.engine import Database
from callboard.embedded.files import write_private
from callboard.embedded.postgres import EmbeddedPostgres
from callboard.processes.api import bind, is_loopback, require_authentication
from callboard.processes.pool import report_death
from callboard.processes.signals import StopSignal
from callboard.processes.supervisor import ChildSpec, Supervisor

_CHECK_POSTGRES_EVERY = 1.0
_OPEN = "No API key has been made: everybody on this machine is an administrator here."
_CLOSED = "Requests need an API key or a token."


def run_up(settings: Settings, *, host: str, port: int, work: Mapping[str, Any]) -> int:
    """Run an api and a work process, and a PostgreSQL if no database URL is set, until SIGTERM or Ctrl-C.

    Args:
        settings: of this process; its children load their own.
        host: address of the api.
        port: of the api.
        work: options of the work process (of ``WorkerOptions``).

    Returns:
        The exit code.

    Raises:
        ConfigurationError: the port is taken, the data directory is in use or not writable, there are no PostgreSQL
            binaries for this platform…
        Unavailable: the database does not answer.
    """
    stop = StopSignal()
    local = is_loopback(host)
    # A port that is taken is found here, and not by a child that dies again and again.
    bind(host, port).close()
    with contextlib.ExitStack() as stack:
        postgres = None
        administrator_url = ""
        environment = {"CALLBOARD_DIAGNOSTICS": "true", "CALLBOARD_DATA_DIR": str(settings.data_dir.resolve())}
        if settings.database_url is None:
            postgres = EmbeddedPostgres(settings.data_dir / "postgres")
            stack.callback(postgres.stop)
            administrator_url = postgres.start()
            url = postgres.service_url()
            environment["CALLBOARD_DATABASE_URL"] = url
            settings = load_settings(**{**settings.model_dump(exclude_unset=True), "database_url": url})
            write_private(settings.data_dir / "database_url", f"{administrator_url}\n")
            write_private(settings.data_dir / "service_database_url", f"{url}\n")
        if not local:
            require_authentication(settings, host)
        migrate(settings)
        require_suitable(settings)
        database = Database(settings, role="supervisor", pool_size=2)
        stack.callback(database.close)
        if postgres is not None and settings.amqp_url is None:
            # The work process below is the only one that ever uses this database, and it has not started yet.
            with database.begin() as connection:
                declare_lost(connection, lease_ttl=0.0)
        supervisor = Supervisor(
            [
                ChildSpec("api", "api", {"host": host, "port": port}),
                ChildSpec("work", "work", work),
            ],
            environment=environment,
            grace=settings.shutdown_grace + 10,
            hang_after=settings.hang_after,
            died=lambda spec, pid: report_death(database, pid) if spec.role == "work" else None,
            on_poll=_PostgresWatch(postgres, administrator_url).check if postgres is not None else lambda: None,
        )
        with database.begin() as connection:
            is_open = settings.oidc_jwks_url is None and not read_keys(connection).any_made
        _greet(host, port, settings, is_open=is_open)
        return supervisor.run(stop)


class _PostgresWatch:
    """Starts the embedded PostgreSQL again when it has died."""

    def __init__(self, postgres: EmbeddedPostgres, url: str) -> None:
        self._postgres = postgres
        self._url = url
        self._next = 0.0

    def check(self) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _CHECK_POSTGRES_EVERY
            if self._postgres.ensure_running() != self._url:
                raise ConfigurationError(
                    "PostgreSQL died, and its port was taken before it was back. Start 'callboard up' again."
                )


def _greet(host: str, port: int, settings: Settings, *, is_open: bool) -> None:
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    broker = "messages in memory" if settings.amqp_url is None else "messages through RabbitMQ"
    sys.stderr.write(
        f"Callboard serves on {address} ({broker}). Docs: {address}/docs\n"
        f"{_OPEN if is_open else _CLOSED} Ctrl-C stops.\n"
    )
    sys.stderr.flush()
