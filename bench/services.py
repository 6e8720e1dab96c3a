"""The PostgreSQL and the RabbitMQ of one run: private, thrown away afterwards, and durable as in production."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from callboard.db.schema.migrate import migrate
from callboard.db.settings import Settings
from callboard.embedded.postgres import EmbeddedPostgres
from tests.services.rabbitmq import RabbitmqServer, private_rabbitmq


@dataclass(frozen=True)
class Services:
    """What the measured processes use. Everything ends with the run."""

    directory: Path
    postgres_url: str
    postgres_pid: int
    rabbitmq: RabbitmqServer

    @property
    def parts(self) -> dict[str, list[int]]:
        """The servers' process ids, by name."""
        return {"postgresql": [self.postgres_pid], "rabbitmq": [self.rabbitmq.pid]}

    def new_database(self) -> Settings:
        """Make a database with Callboard's tables, and return the settings that lead there."""
        url = self.new_empty_database(f"bench_{secrets.token_hex(4)}")
        settings = Settings(database_url=SecretStr(url), diagnostics=True)
        migrate(settings)
        return settings

    def new_empty_database(self, name: str) -> str:
        """Make a database without tables, and return its URL."""
        with psycopg.connect(self.postgres_url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        return make_url(self.postgres_url).set(database=name).render_as_string(hide_password=False)


@contextmanager
def private_services() -> Iterator[Services]:
    """Yield running services. PostgreSQL writes its log to disk at each commit, as every deployment's does.

    Raises:
        RabbitmqMissing: Debian's package rabbitmq-server is not installed.
    """
    directory = Path(tempfile.mkdtemp(prefix="callboard-bench-"))
    directory.chmod(0o711)  # as root: PostgreSQL runs as another user, below it
    try:
        with EmbeddedPostgres(directory / "postgres") as postgres, private_rabbitmq() as rabbitmq:
            with psycopg.connect(postgres.start(), autocommit=True) as connection:
                # So that the server itself says when each job was recorded, for all that are compared.
                connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
            postgres.stop()
            url, pid = postgres.start(), postgres.pid
            assert pid is not None  # it has just started
            yield Services(directory, url, pid, rabbitmq)
    finally:
        shutil.rmtree(directory)
