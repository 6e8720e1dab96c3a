"""A private PgBouncer for tests, in transaction mode: own directory and loopback port, from Debian's package."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

from callboard.embedded.account import server_account
from tests.support.ports import free_port

_START_TIMEOUT: Final = 30.0
_SETTINGS: Final = """
[databases]
* = host={host} port={port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = users
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 500
logfile = log
pidfile =
"""


class PgBouncerMissing(Exception):
    """The package pgbouncer is not installed."""


class PgBouncer:
    """A pooler before one PostgreSQL server. It may be stopped and started again, on the same port."""

    def __init__(self, directory: Path, server_url: str, *, pool_size: int) -> None:
        """``pool_size``: connections to the server for each database."""
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            raise PgBouncerMissing("No pgbouncer. Install Debian's package pgbouncer.")
        self._program = program
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        server = make_url(server_url)
        self._port = free_port()
        self.url = server.set(host="127.0.0.1", port=self._port).render_as_string(hide_password=False)
        """Of the same database, through the pooler."""
        (directory / "users").write_text(f'"{server.username}" "{server.password}"\n')
        (directory / "pgbouncer.ini").write_text(
            _SETTINGS.format(host=server.host, port=server.port, listen_port=self._port, pool_size=pool_size)
        )
        self._account = server_account()  # it refuses to run as root, as PostgreSQL does
        for path in (directory, *directory.iterdir()):
            os.chown(path, self._account.uid, self._account.gid)

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        other = None if self._account.is_current else self._account
        self._process = subprocess.Popen(
            [self._program, "--quiet", "pgbouncer.ini"],
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            user=None if other is None else other.uid,
            group=None if other is None else other.gid,
            extra_groups=None if other is None else (),
        )
        deadline = time.monotonic() + _START_TIMEOUT
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port)).close()
            except OSError:
                assert self._process.poll() is None, f"PgBouncer ended:\n{(self._directory / 'log').read_text()}"
                assert time.monotonic() < deadline, "PgBouncer does not start"
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """End it at once; its clients lose their connections."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def private_pgbouncer(server_url: str, *, pool_size: int) -> Iterator[PgBouncer]:
    """Yield a running pooler; it is gone afterwards.

    Raises:
        PgBouncerMissing: the package is not installed.
    """
    directory = Path(tempfile.mkdtemp(prefix="callboard-pgbouncer-"))
    try:
        pooler = PgBouncer(directory, server_url, pool_size=pool_size)
        pooler.start()
        try:
            yield pooler
        finally:
            pooler.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
