"""Whether Callboard can work with a database as it is, and what to change where it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from sqlalchemy import Connection, text

from callboard.db.errors import ConfigurationError, Unavailable
from callboard.db.models import SCHEMA, metadata
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.db.sql.session import unsound_setting

_TABLES: Final = [table.name for table in metadata.sorted_tables]
_OLDEST_VERSION: Final = 15
_RIGHTS: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")

# On tables that there are: those that are not are the migrations' business.
_STATE: Final = text(f"""
SELECT
    quote_ident(current_user) AS "user", quote_ident(current_database()) AS database,
    current_setting('server_version_num')::integer / 10000 AS version,
    pg_encoding_to_char(encoding) AS encoding, pg_is_in_recovery() AS standby,
    current_setting('transaction_read_only')::boolean AS read_only,
    coalesce(has_schema_privilege(to_regnamespace('{SCHEMA}'), 'USAGE'), true) AS may_enter,
    ARRAY(
        SELECT relname FROM pg_class
        WHERE relnamespace = to_regnamespace('{SCHEMA}') AND relname = ANY(:tables)
            AND NOT ({" AND ".join(f"has_table_privilege(pg_class.oid, '{right}')" for right in _RIGHTS)})
        ORDER BY relname
    ) AS closed_tables
FROM pg_database WHERE datname = current_database()
""")  # noqa: S608 - names of this module


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """A database as the current user finds it."""

    user: str
    """Quoted, where SQL needs that; the database, too."""
    database: str
    version: int
    """PostgreSQL's major version."""
    encoding: str
    standby: bool
    read_only: bool
    may_enter: bool
    """Whether the user may use the schema, if there is one."""
    closed_tables: Sequence[str]
    """Tables that the user may not both read and write."""
    unsound_setting: tuple[str, str] | None
    """A setting that statements rely on and that differs, with its right value."""

    @classmethod
    def of(cls, connection: Connection) -> Self:
        """Read it."""
        found = connection.execute(_STATE, {"tables": _TABLES}).mappings().one()
        return cls(**found, unsound_setting=unsound_setting(connection))

    @property
    def unsuitable(self) -> str | None:
        """What somebody must change before Callboard can work here; None: nothing."""
        if self.version < _OLDEST_VERSION:
            return f"This is PostgreSQL {self.version}; {_OLDEST_VERSION} or later is needed."
        if self.encoding != "UTF8":
            return (
                f"Database {self.database} is encoded in {self.encoding}, which has no place for most letters. Make "
                "one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, and move what is in this one by "
                "pg_dump and pg_restore."
            )
        if not self.may_enter:
            return (
                f"The database user {self.user} may not use schema {SCHEMA}. As its owner, run: "
                f"GRANT USAGE ON SCHEMA {SCHEMA} TO {self.user}"
            )
        if self.closed_tables:
            return (
                f"The database user {self.user} may not read and write {SCHEMA}.{self.closed_tables[0]}"
                f"{f' and {len(self.closed_tables) - 1} more' if len(self.closed_tables) > 1 else ''}. As the owner, "
                f"run: GRANT {', '.join(_RIGHTS)} ON ALL TABLES IN SCHEMA {SCHEMA} TO {self.user}"
            )
        if self.unsound_setting is not None:
            name, value = self.unsound_setting
            return (
                f"{name} is not '{value}' for {self.user} in {self.database}, and the pooler passes on no other. Run: "
                f"ALTER ROLE {self.user} IN DATABASE {self.database} SET {name} = '{value}', and have the pooler "
                "connect anew."
            )
        return None

    @property
    def unwritable(self) -> str | None:
        """Why nothing can be written here now; None: it can."""
        if self.standby:
            return (
                "The database server is a standby, which takes no writes. Name the primary in the database URL, or "
                "all servers and target_session_attrs=read-write."
            )
        if self.read_only:
            return (
                f"Transactions of {self.user} in {self.database} are read-only, as some hosts make them while the disk "
                f"is full. When there is room, run: ALTER DATABASE {self.database} RESET default_transaction_read_only "
                f"(or ALTER ROLE {self.user} …)."
            )
        return None


def require_suitable(settings: Settings) -> None:
    """Return if Callboard can work with the database, or if that cannot be told now: processes wait for a database.

    Raises:
        ConfigurationError: somebody must change something first; the message says what, in one line.
    """
    database = Database(settings, role="start", pool_size=1)
    try:
        with database.begin() as connection:
            state = DatabaseState.of(connection)
    except Unavailable:
        return
    finally:
        database.close()
    if state.unsuitable is not None:
        raise ConfigurationError(state.unsuitable)
