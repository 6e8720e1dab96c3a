"""Brings a database to this version's schema. Many processes may do so at once, and repeatedly."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

import structlog
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg.errors import DuplicateSchema, DuplicateTable, InsufficientPrivilege, UniqueViolation
from sqlalchemy import Connection, Engine, NullPool, Text, column, create_engine, event, func, select, table, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.schema import CreateTable

from callboard.db.errors import ConfigurationError, Unavailable
from callboard.db.models import SCHEMA, locks
from callboard.db.schema.analysts import MAKE_ROLES, ensure_analyst_roles
from callboard.db.schema.analytics import ANALYTICS, ensure_analytics
from callboard.db.schema.partitions import ensure_partitions
from callboard.db.schema.suitability import DatabaseState
from callboard.db.settings import Settings
from callboard.db.sql.engine import options_of, reason_of, sqlalchemy_url
from callboard.db.sql.locks import ensure_lock
from callboard.db.sql.session import direct_arguments, lift_transaction_timeout

_log = structlog.get_logger(__name__)

SCHEMA_IS_OLDER: Final = "The database's schema is older than this version. Run 'callboard migrate'."

_LOCK: Final = "migration"
_LOCK_POLL: Final = 0.1


def migrate(settings: Settings) -> bool:
    """Create or upgrade the schema, the partitions and the analysts' grants; all is committed on return.

    One process migrates; the others wait for it and then have nothing to do.

    Returns:
        False, with nothing changed, where a later version has upgraded the schema already: this one works with it.

    Raises:
        ConfigurationError: the database is not suitable, or its user may not do this; the message says what to change.
        Unavailable: the database cannot be reached, or is read-only.
    """
    engine = migration_engine(settings)
    try:
        with engine.connect() as connection:
            _require_writable(DatabaseState.of(connection))
        with migrating(engine) as connection:
            with connection.begin():
                later = _is_of_a_later_version(connection)
            if later:
                return False
            config = Config()
            config.set_main_option("script_location", str(migrations_path()).replace("%", "%%"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        with engine.begin() as connection:
            ensure_partitions(connection, settings.partitions_ahead)
        with engine.begin() as connection:
            _ensure_optional(connection, settings)
    except OperationalError as error:
        raise Unavailable(f"The database cannot be migrated: {reason_of(error)}.") from error
    except DBAPIError as error:
        if isinstance(error.orig, InsufficientPrivilege):
            raise ConfigurationError(_missing_right(settings, error)) from error
        raise
    finally:
        engine.dispose()
    return True


def migration_engine(settings: Settings) -> Engine:
    """Return an engine for :func:`migrating`, whose connections wait as long as a statement takes."""
    url = sqlalchemy_url(settings.direct_database_url())
    engine = create_engine(
        url, poolclass=NullPool, connect_args=direct_arguments(settings, "migrate", options=options_of(url))
    )
    event.listen(engine, "connect", lambda connection, _: lift_transaction_timeout(connection), insert=True)
    return engine


def _require_writable(state: DatabaseState) -> None:
    # Rights are the migrations' business: they make the tables.
    if state.encoding != "UTF8" and state.unsuitable is not None:
        raise ConfigurationError(state.unsuitable)
    if state.unwritable is not None:
        raise Unavailable(f"The database cannot be migrated. {state.unwritable}")


def _missing_right(settings: Settings, error: DBAPIError) -> str:
    user = sqlalchemy_url(settings.direct_database_url()).username or "the user"
    return (
        f"The database cannot be migrated: {reason_of(error)}. Let its owner run: CREATE SCHEMA {SCHEMA} AUTHORIZATION "
        f'"{user}"; CREATE SCHEMA {ANALYTICS} AUTHORIZATION "{user}". If the tables are there, migrate as their owner.'
    )


def _ensure_optional(connection: Connection, settings: Settings) -> None:
    """Make what the service works without, or say who has to."""
    if not ensure_analytics(connection, migrations_path()):
        user = connection.execute(text("SELECT quote_ident(current_user)")).scalar_one()
        _log.warning(
            "analytics_cannot_be_made",
            run_as_owner_of_database=f"CREATE SCHEMA {ANALYTICS} AUTHORIZATION {user};",
            then="callboard migrate",
        )
    if not ensure_analyst_roles(connection, contents=settings.analysts_see_contents):
        _log.warning("analysts_cannot_be_made", run_as_superuser=MAKE_ROLES, then="callboard migrate")


# Alembic's own table.
_VERSIONS = table("alembic_version", column("version_num", Text), schema=SCHEMA)


def schema_is_current(connection: Connection) -> bool:
    """Return whether the schema is this version's or a later one's.

    A later one will do: migrations keep what the version before them uses.
    """
    if connection.execute(select(func.to_regclass(f"{_VERSIONS.schema}.{_VERSIONS.name}"))).scalar_one() is None:
        return False
    return any(revision not in _older_revisions() for revision in _revisions(connection))


def _revisions(connection: Connection) -> Sequence[str]:
    return connection.execute(select(_VERSIONS.c.version_num)).scalars().all()


def _is_of_a_later_version(connection: Connection) -> bool:
    if connection.execute(select(func.to_regclass(f"{_VERSIONS.schema}.{_VERSIONS.name}"))).scalar_one() is None:
        return False
    known = _older_revisions() | set(_script().get_heads())
    return any(revision not in known for revision in _revisions(connection))


@cache
def _older_revisions() -> frozenset[str]:
    return frozenset(item.revision for item in _script().walk_revisions()) - frozenset(_script().get_heads())


@cache
def _script() -> ScriptDirectory:
    return ScriptDirectory(str(migrations_path()))


@contextmanager
def migrating(engine: Engine) -> Iterator[Connection]:
    """Yield a connection while another one holds the migration lock; the schema exists.

    A migration commits more than once, and the lock is one of a transaction.
    """
    with engine.connect() as holder, engine.connect() as connection:
        _ensure_lockable(connection)
        # Polled: a statement that waits has a snapshot, which would hold up CREATE INDEX CONCURRENTLY of the migration.
        # So has the statement that got the lock, until its transaction ends, if it was sent with parameters.
        take = text(f"SELECT FROM {locks.fullname} WHERE name = '{_LOCK}' FOR UPDATE SKIP LOCKED")
        while holder.execute(take).first() is None:
            holder.rollback()
            time.sleep(_LOCK_POLL)
        try:
            yield connection
        finally:
            connection.rollback()
            holder.rollback()


def _ensure_lockable(connection: Connection) -> None:
    """Make the schema and the row of the migration lock, unless they are there."""
    while True:
        try:
            # CREATE … IF NOT EXISTS asks for the right to create also where there is nothing to create.
            if connection.execute(text(f"SELECT to_regnamespace('{SCHEMA}') IS NULL")).scalar_one():
                connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
            if connection.execute(text(f"SELECT to_regclass('{locks.fullname}') IS NULL")).scalar_one():
                connection.execute(CreateTable(locks))
            ensure_lock(connection, _LOCK)
            connection.commit()
        except DBAPIError as error:
            connection.rollback()
            # Another process was faster.
            if not isinstance(error.orig, DuplicateSchema | DuplicateTable | UniqueViolation):
                raise
        else:
            return


def migrations_path() -> Path:
    """Return the folder of the migrations: beside this package in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "migrations"
    return inside if inside.is_dir() else package.with_name("alembic")
