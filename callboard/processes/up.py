"""``callboard up``: the whole system on one machine, without any setup."""

from __future__ import annotations

import contextlib
import http.client
import sys
import time
from collections.abc import Mapping
from typing import Any

import structlog

from callboard.db.access.keys import read_keys
from callboard.db.errors import ConfigurationError, Unavailable
from callboard.db.files.storage import open_storage
from callboard.db.fleet.workers import declare_lost
from callboard.db.rules.backoff import Backoff
from callboard.db.schema.migrate import migrate
from callboard.db.schema.suitability import require_suitable
from callboard.db.settings import Settings, load_settings
from callboard.db.sql.engine import Database
from callboard.embedded.files import write_private
from callboard.embedded.postgres import EmbeddedPostgres
from callboard.processes.api import bind, is_loopback, require_authentication
from callboard.processes.child_metrics import ChildMetrics
from callboard.processes.deaths import report_death
from callboard.processes.job_types import JobTypesTrial
from callboard.processes.signals import StopSignal
from callboard.processes.supervisor import ChildSpec, Supervisor

_log = structlog.get_logger(__name__)

_CHECK_POSTGRES_EVERY = 1.0
_LONGEST_PAUSE = 10.0
# A PostgreSQL that has run for so many seconds is healthy: its next death is unrelated to those before.
_HEALTHY_AFTER = 10.0
_OPEN = "No API key has been made: everybody on this machine is an administrator here."
_CLOSED = "Requests need an API key or a token."


def run_up(settings: Settings, trial: JobTypesTrial, *, host: str, port: int, work: Mapping[str, Any]) -> int:
    """Run an api and a work process, and a PostgreSQL if no database URL is set, until SIGTERM or Ctrl-C.

    Args:
        settings: of this process; its children load their own.
        trial: of the job modules, started; its environment is that of all children.
        host: address of the api.
        port: of the api.
        work: options of the work process (of ``WorkerOptions``).

    Returns:
        The exit code.

    Raises:
        ConfigurationError: the port is taken, a setting or job type is wrong, the data directory is in use or not
            writable, there are no PostgreSQL binaries for this platform… All of it is found here, and not by children
            that die again and again.
        Unavailable: the database does not answer.
    """
    stop = StopSignal()
    local = is_loopback(host)
    bind(host, port).close()
    _check(settings)
    environment = dict(trial.environment)
    with contextlib.ExitStack() as stack:
        metrics = stack.enter_context(ChildMetrics.temporary())
        environment |= metrics.environment
        postgres = None
        administrator_url = ""
        if settings.database_url is None:
            postgres = EmbeddedPostgres(settings.data_dir / "postgres")
            stack.callback(postgres.stop)
            administrator_url = postgres.start()
            url = postgres.service_url()
            environment["CALLBOARD_DATABASE_URL"] = url
            settings = load_settings(**{**settings.model_dump(exclude_unset=True), "database_url": url})
            write_private(settings.data_dir / "database_url", f"{administrator_url}\n")
            write_private(settings.data_dir / "service_database_url", f"{url}\n")
        if trial.queues(stop) is None:
            return 0
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
        with database.begin() as connection:
            is_open = settings.oidc_jwks_url is None and not read_keys(connection).any_made
        greeting = _Greeting(host, port, settings, is_open=is_open)
        watch = None if postgres is None else _PostgresWatch(postgres, administrator_url, stop)

        def died(spec: ChildSpec, pid: int) -> None:
            metrics.died(pid)
            if spec.role == "work":
                report_death(database, pid)

        def on_poll() -> None:
            greeting.say_once_it_serves()
            if watch is not None:
                watch.check()

        supervisor = Supervisor(
            [
                ChildSpec("api", "api", {"host": host, "port": port, "metrics_directory": str(metrics.directory)}),
                ChildSpec("work", "work", work),
            ],
            environment=environment,
            grace=settings.shutdown_grace + 10,
            hang_after=settings.hang_after,
            died=died,
            on_poll=on_poll,
        )
        return supervisor.run(stop)


def _check(settings: Settings) -> None:
    """Return if the settings are such that the processes start. Imports only what they speak of."""
    if settings.amqp_url is not None:
        from callboard.actors.broker.amqp import Rabbitmq

        Rabbitmq.from_settings(settings)
    if settings.oidc_jwks_url or settings.oidc_issuer or settings.oidc_audience:
        from callboard.api.auth.oidc import Tokens

        Tokens.from_settings(settings)
    open_storage(settings)


class _PostgresWatch:
    """Starts the embedded PostgreSQL again when it has died, with growing pauses while it does not stay."""

    def __init__(self, postgres: EmbeddedPostgres, url: str, stop: StopSignal) -> None:
        self._postgres = postgres
        self._url = url
        self._stop = stop
        self._next = 0.0
        self._started = 0.0
        self._backoff = Backoff(_CHECK_POSTGRES_EVERY, _LONGEST_PAUSE)

    def check(self) -> None:
        """Look after it, if it is time.

        Raises:
            ConfigurationError: it had to change its port, which the other processes do not know.
        """
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _CHECK_POSTGRES_EVERY
        runs = self._postgres.running
        if runs and now - self._started > _HEALTHY_AFTER:
            self._backoff.reset()
        try:
            url = self._postgres.ensure_running(give_up=lambda: self._stop.is_set)
        except Unavailable as error:
            # Often a full disk, which may have room again. Until then the api responds with 503.
            pause = self._backoff.next()
            self._next = time.monotonic() + pause
            _log.error("postgres_does_not_start", reason=str(error), next_try_in=pause)
            return
        if not runs:
            self._started = time.monotonic()
            self._next = self._started + self._backoff.next()
            _log.warning("postgres_started_again")
        if url != self._url:
            raise ConfigurationError(
                "PostgreSQL died, and its port was taken before it was back. Start 'callboard up' again."
            )


class _Greeting:
    """Says where the system serves, once it does."""

    def __init__(self, host: str, port: int, settings: Settings, *, is_open: bool) -> None:
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        broker = "messages in memory" if settings.amqp_url is None else "messages through RabbitMQ"
        self._text = (
            f"Callboard serves on {address} ({broker}). Docs: {address}/docs\n"
            f"{_OPEN if is_open else _CLOSED} Ctrl-C stops.\n"
        )
        self._host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound here
        self._port = port
        self._said = False

    def say_once_it_serves(self) -> None:
        if not self._said and self._serves():
            self._said = True
            sys.stderr.write(self._text)
            sys.stderr.flush()

    def _serves(self) -> bool:
        api = http.client.HTTPConnection(self._host, self._port, timeout=1.0)
        try:
            api.request("GET", "/readyz")
            return api.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            api.close()
