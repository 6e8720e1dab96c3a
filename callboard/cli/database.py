"""What the commands have in common that work on the database itself."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import typer

from callboard.db.errors import ConfigurationError
from callboard.db.settings import Settings, load_settings

if TYPE_CHECKING:  # other commands start quickly, so functions import what uses a database
    from sqlalchemy import Connection

    from callboard.db.sql.engine import Database


def database_settings(*, administrator: bool = False, **overrides: object) -> Settings:
    """Return the settings. Without a database URL, they name the PostgreSQL that ``callboard up`` runs here.

    Args:
        administrator: there, log in as the role that may make others, and not as the service.
        overrides: settings that win over those of the environment.
    """
    settings = load_settings(**overrides)
    if settings.database_url is not None:
        return settings
    # An earlier version wrote the administrator's only.
    for name in ("database_url",) if administrator else ("service_database_url", "database_url"):
        with suppress(OSError):
            url = (settings.data_dir / name).read_text(encoding="utf-8").strip()
            return load_settings(**overrides, database_url=url)
    return settings


@contextmanager
def current_database(settings: Settings, *, role: str, pool_size: int = 1) -> Iterator[Database]:
    """Yield a database that has this version's schema.

    Args:
        settings: of the database.
        role: names the connections, for operators.
        pool_size: most connections, 1 or more.

    Raises:
        ConfigurationError: the schema is older, or missing, or the database not suitable.
        Unavailable: the database does not respond.
    """
    from callboard.db.schema.migrate import SCHEMA_IS_OLDER, schema_is_current
    from callboard.db.schema.suitability import DatabaseState
    from callboard.db.sql.engine import Database

    database = Database(settings, role=role, pool_size=pool_size)
    try:
        with database.begin() as connection:
            problem = DatabaseState.of(connection).unsuitable
            if problem is None and not schema_is_current(connection):
                problem = SCHEMA_IS_OLDER
        if problem is not None:
            raise ConfigurationError(problem)
        yield database
    finally:
        database.close()


@contextmanager
def transaction(settings: Settings, *, role: str) -> Iterator[Connection]:
    """Yield a connection in a transaction; see :func:`current_database`."""
    with current_database(settings, role=role) as database, database.begin() as connection:
        yield connection


def audit(connection: Connection, action: str, subject: str) -> None:
    """Record in the audit log, in the same transaction, what the user of this command does."""
    from callboard.db.access.audit import Actor, write_audit

    write_audit(connection, Actor(f"cli:{_user()}"), action, subject=subject)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container, an account need not have a name
        return "unknown"


def plain(text: str, option: str) -> str:
    """Return ``text`` if it is 1 to 255 printable characters.

    Args:
        text: to check.
        option: that the text was given to.

    Raises:
        typer.BadParameter: the text is longer, empty or not printable.
    """
    if not 0 < len(text) <= 255 or not text.isprintable():
        raise typer.BadParameter("must be 1 to 255 printable characters", param_hint=f"'{option}'")
    return text
