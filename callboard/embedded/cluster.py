"""The files of an embedded PostgreSQL, created completely or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from callboard.db.errors import ConfigurationError
from callboard.embedded.account import Account
from callboard.embedded.binaries import Binaries
from callboard.embedded.files import sync_directory, write_private
from callboard.embedded.process import data_directory_argument, run_program

SUPERUSER = "callboard"
DATABASE = "callboard"

_SCRATCH = "initdb-"

_POSTGRESQL_CONF = """\
# Callboard writes callboard.conf anew at each start. Settings below this line are yours, and win.
include 'callboard.conf'
"""

# One way in: TCP on the loopback interface, with a password.
_PG_HBA_CONF = "host all all 127.0.0.1/32 scram-sha-256\n"

_CALLBOARD_CONF = """\
# Written by Callboard at each start; change postgresql.conf instead.
listen_addresses = '127.0.0.1'
# No socket: its path is limited to 107 bytes, and a directory that is short enough is often everybody's.
unix_socket_directories = ''
password_encryption = 'scram-sha-256'

# Callboard starts it again, with pauses: on a full disk it would crash and start for ever.
restart_after_crash = off

max_connections = 100
shared_buffers = '128MB'
max_wal_size = '1GB'
wal_compression = on
random_page_cost = 1.1
jit = off

# To standard error, which is the file postgres.log; Callboard keeps it short.
logging_collector = off
log_destination = 'stderr'
log_line_prefix = '%m [%p] '
log_checkpoints = off
lc_messages = 'C'
log_timezone = 'UTC'
timezone = 'UTC'
"""

_DURABLE = """
fsync = on
full_page_writes = on
synchronous_commit = on
"""

_THROWAWAY = """
# For tests: a crash of the machine may lose everything, a crash of the server nothing.
fsync = off
full_page_writes = off
"""


class Cluster:
    """The cluster in ``home/cluster``, with its passwords in ``home/password`` and ``home/service_password``.

    The server's user owns only the cluster, and may be unable to read ``home``.
    """

    def __init__(self, home: Path, *, durable: bool) -> None:
        self.home = home
        self.path = home / "cluster"
        self._password_file = home / "password"
        self._service_password_file = home / "service_password"
        self._durable = durable

    @property
    def password(self) -> str:
        """The superuser's password.

        Raises:
            ConfigurationError: its file is gone.
        """
        try:
            return self._password_file.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            raise ConfigurationError(
                f"{self._password_file} is missing, so nobody can log in to the cluster beside it. Restore the file, "
                f"or remove {self.home} to begin anew without its jobs."
            ) from None

    @property
    def service_password(self) -> str:
        """The password of the service's role, which is made here and given to the role at each start."""
        if not self._service_password_file.exists():
            write_private(self._service_password_file, secrets.token_urlsafe(32) + "\n")
        return self._service_password_file.read_text(encoding="utf-8").strip()

    def prepare(self, binaries: Binaries, account: Account) -> None:
        """Create the cluster if there is none, and write its settings. Durable on return.

        The caller holds the directory's lock.

        Raises:
            ConfigurationError: it cannot be created, or is of another major version of PostgreSQL.
            OSError: the directory cannot be written.
        """
        for leftover in self.home.glob(f"{_SCRATCH}*"):
            # Left by a crash. A process of it may still write for a while; then the next start removes it.
            shutil.rmtree(leftover, ignore_errors=True)
        if not self.path.exists():
            self._initialise(binaries, account)
        major = (self.path / "PG_VERSION").read_text().strip()
        if major != str(binaries.major):
            raise ConfigurationError(
                f"{self.path} was made by PostgreSQL {major}, and {binaries.directory} is PostgreSQL {binaries.major}. "
                "Move its data with pg_dump of the old version, or choose another directory with --data-dir."
            )
        self._write_settings(self.path)

    def _initialise(self, binaries: Binaries, account: Account) -> None:
        """Run initdb in a directory beside the final one, and rename that once all of it is on disk."""
        write_private(self._password_file, secrets.token_urlsafe(32) + "\n")
        scratch = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=self.home))
        try:
            cluster = scratch / "cluster"
            cluster.mkdir(mode=0o700)
            if not account.is_current:
                for directory in (scratch, cluster):
                    os.chown(directory, account.uid, account.gid)
            write_private(scratch / "password", self.password + "\n")
            self._run_initdb(cluster, binaries, account)
            write_private(cluster / "pg_hba.conf", _PG_HBA_CONF)
            write_private(cluster / "postgresql.conf", _POSTGRESQL_CONF)
            self._write_settings(cluster)
            data = ["-D", data_directory_argument(cluster, account)]
            run_program(
                [binaries.postgres, "--single", "-F", "-c", "exit_on_error=on", *data, "postgres"],
                directory=cluster,
                account=account,
                stdin=f"CREATE DATABASE {DATABASE}\n",
            )
            if self._durable:
                run_program([binaries.initdb, "--sync-only", *data], directory=cluster, account=account)
            cluster.rename(self.path)
            sync_directory(self.home)
        finally:
            with suppress(FileNotFoundError):
                shutil.rmtree(scratch)

    def _run_initdb(self, cluster: Path, binaries: Binaries, account: Account) -> None:
        # The same sort order and character classes on every system, with any C library.
        builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        run_program(
            [
                binaries.initdb,
                "-D",
                data_directory_argument(cluster, account),
                f"--username={SUPERUSER}",
                "--auth=scram-sha-256",
                "--pwfile=../password",
                "--encoding=UTF8",
                *(builtin if binaries.major >= 17 else ["--locale=C.UTF-8"]),
                "--data-checksums",
                "--no-sync",
                "--no-instructions",
            ],
            directory=cluster,
            account=account,
        )

    def _write_settings(self, cluster: Path) -> None:
        write_private(cluster / "callboard.conf", _CALLBOARD_CONF + (_DURABLE if self._durable else _THROWAWAY))
