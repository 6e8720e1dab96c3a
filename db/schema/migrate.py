"""Brings a database to this version's schema. Many processes may do so at once, and repeatedly."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, NullPool, Text, column, create_engine, func, select, table, text
from sqlalchemy.exc import OperationalError

from callboard.db.errors import Unavailable
from callboard.db.models import SCHEMA
from callboard.db.schema.analysts import MAKE_ROLES, ensure_analyst_roles
from callboard.db.schema.partitions import ensure_partitions
from callboard.db.settings import Settings
from callboard.db.sql.engine import reason_of, sqlalchemy_url

_log = structlog.get_logger(__name__)

# Any number that no other advisory lock of the database uses; "callboard" in ASCII, cut to 63 bits.
_MIGRATION_LOCK = 0x63616C6C626F6172

_LOCK_POLL = 0.1

# The longest wait for a table that others use: while a migration waits for it, all later users queue behind.
_LOCK_TIMEOUT = "5s"


def migrate(settings: Settings) -> None:
    """Create or upgrade the schema, the partitions and the analysts' grants; all is committed on return.

    One process migrates; the others wait for it and then have nothing to do.

    Raises:
        Unavailable: the database cannot be reached.
    """
    engine = create_engine(
        sqlalchemy_url(settings.direct_database_url()),
        poolclass=NullPool,
        connect_args={"connect_timeout": settings.connect_timeout, "application_name": "callboard migrate"},
    )
    try:
        with migrating(engine) as connection:
            config = Config()
            config.set_main_option("script_location", str(migrations_path()).replace("%", "%%"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        with engine.begin() as connection:
            ensure_partitions(connection, settings.partitions_ahead)
        with engine.begin() as connection:
            if not ensure_analyst_roles(connection, contents=settings.analysts_see_contents):
                _log.warning("analysts_cannot_be_made", run_as_superuser=MAKE_ROLES, then="callboard migrate")
    except OperationalError as error:
        raise Unavailable(f"The database cannot be migrated: {reason_of(error)}.") from error
    finally:
        engine.dispose()


# Alembic's own table.
_VERSIONS = table("alembic_version", column("version_num", Text), schema=SCHEMA)


def schema_is_current(connection: Connection) -> bool:
    """Return whether the schema is this version's or a later one's.

    A later one will do: migrations keep what the version before them uses.
    """
    if connection.execute(select(func.to_regclass(f"{_VERSIONS.schema}.{_VERSIONS.name}"))).scalar_one() is None:
        return False
    revisions = connection.execute(select(_VERSIONS.c.version_num)).scalars()
    return any(revision not in _older_revisions() for revision in revisions)


@cache
def _older_revisions() -> frozenset[str]:
    script = ScriptDirectory(str(migrations_path()))
    return frozenset(item.revision for item in script.walk_revisions()) - frozenset(script.get_heads())


@contextmanager
def migrating(engine: Engine) -> Iterator[Connection]:
    """Yield a connection that holds the migration lock and has timeouts set; the schema exists."""
    with engine.connect() as connection:
        # Polled: a statement that waits has a snapshot, which would hold up CREATE INDEX CONCURRENTLY of the migration.
        while not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _MIGRATION_LOCK}).scalar_one():
            connection.rollback()
            time.sleep(_LOCK_POLL)
        try:
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            connection.execute(text(f"SET lock_timeout = '{_LOCK_TIMEOUT}'"))
            connection.commit()
            yield connection
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATION_LOCK})
            connection.commit()


def migrations_path() -> Path:
    """Return the folder of the migrations: beside this package in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "migrations"
    return inside if inside.is_dir() else package.with_name("alembic")
