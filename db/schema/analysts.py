"""Database roles that read history: what they may see, and how each is made.

``callboard_analyst`` reads schema ``analytics`` and the columns of jobs and attempts that hold neither payloads nor
results nor what errors say. ``callboard_owner_analyst`` is the same for roles that see one owner's jobs; the table
``callboard.analysts`` says whose. Nobody logs in as these two; each analyst is a member of one of them.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, cast

import psycopg
from psycopg import sql
from sqlalchemy import Connection, Table, delete, insert, select, text
from sqlalchemy.exc import DBAPIError

from callboard.db.errors import ConfigurationError, Conflict, NotFound
from callboard.db.models import SCHEMA, analysts, history_rollup, job_attempts, job_history, jobs, workers
from callboard.db.rules.new_job import OPTIONS
from callboard.db.schema.analytics import ANALYTICS, has_analytics
from callboard.db.sql.locks import lock

ANALYST: Final = "callboard_analyst"
OWNER_ANALYST: Final = "callboard_owner_analyst"
_BOTH: Final = f"{ANALYST}, {OWNER_ANALYST}"

MAKE_ROLES: Final = f"CREATE ROLE {ANALYST} NOLOGIN; CREATE ROLE {OWNER_ANALYST} NOLOGIN;"
"""SQL for a user who may create roles, where the migration's user may not."""

#: What handlers got, returned and reported: analysts see it only where a setting says so.
_CONTENTS: Final[dict[Table, frozenset[str]]] = {
    jobs: frozenset({"payload", "progress", "error"}),
    job_history: frozenset({"payload", "result", "progress", "error"}),
    job_attempts: frozenset({"error_message", "traceback"}),
}
#: Addresses and keys that may be secrets: never for analysts.
_SECRET: Final = frozenset({"webhook_url", *(name for name, option in OPTIONS.items() if option.secret)})
_WHOLE: Final = (workers, history_rollup)

# The rows that an owner's analyst sees: those with the owner's name, and those of a job that the analyst sees.
_VISIBLE: Final = {
    jobs: "owner = (SELECT callboard.owner_of_analyst(current_user))",
    job_history: "owner = (SELECT callboard.owner_of_analyst(current_user))",
    history_rollup: "owner = (SELECT callboard.owner_of_analyst(current_user))",
    job_attempts: "EXISTS (SELECT FROM callboard.job_history AS job WHERE job.id = job_id "
    "AND job.created_at = job_attempts.created_at)",
}
_POLICY: Final = "own_rows"


def ensure_analyst_roles(connection: Connection, *, contents: bool) -> bool:
    """Make the two roles where they are missing, and grant what they may see. A second call changes nothing.

    Args:
        connection: in a transaction, as the owner of the tables.
        contents: whether analysts see payloads, results and what errors say.

    Returns:
        False, with nothing changed, when the roles are missing and this user may not make them.
    """
    lock(connection, "analysts")
    # Neither is a member of the other: a member may SET ROLE to the other, and see what that sees.
    for role in (ANALYST, OWNER_ANALYST):
        if not (_exists(connection, role) or _run_if_allowed(connection, f"CREATE ROLE {role} NOLOGIN")):
            return False
    # The service becomes this role for `callboard history sql`. A superuser may without the grant.
    if not _is_member(connection, ANALYST):
        _run_if_allowed(connection, f"GRANT {ANALYST} TO CURRENT_USER")
    _grant(connection, contents=contents)
    for table, condition in _VISIBLE.items():
        if not _has_policy(connection, table):
            connection.execute(
                text(
                    f"CREATE POLICY {_POLICY} ON {table.fullname} AS RESTRICTIVE FOR SELECT TO {OWNER_ANALYST} "
                    f"USING ({condition})"
                )
            )
    return True


def _grant(connection: Connection, *, contents: bool) -> None:
    analytics = (
        f"GRANT USAGE ON SCHEMA {ANALYTICS} TO {_BOTH}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {ANALYTICS} TO {_BOTH}",
    )
    statements = [
        f"GRANT USAGE ON SCHEMA {SCHEMA} TO {_BOTH}",
        *(analytics if has_analytics(connection) else ()),
        *(f"GRANT SELECT ON {table.fullname} TO {_BOTH}" for table in _WHOLE),
    ]
    for table, private in _CONTENTS.items():
        public = ", ".join(column.name for column in table.c if column.name not in private | _SECRET)
        verb, preposition = ("GRANT", "TO") if contents else ("REVOKE", "FROM")
        statements += [
            f"GRANT SELECT ({public}) ON {table.fullname} TO {_BOTH}",
            f"{verb} SELECT ({', '.join(sorted(private))}) ON {table.fullname} {preposition} {_BOTH}",
        ]
    for statement in statements:
        connection.execute(text(statement))


@dataclass(frozen=True, slots=True)
class AnalystLimits:
    """What one analyst may take of the server."""

    connections: int = 5
    """Most at a time, 1 or more. PostgreSQL keeps to it."""
    statement_timeout: float = 300.0
    """Seconds that a statement, and an idle transaction, may take. A session may set itself another."""


def add_analyst(
    connection: Connection, name: str, *, owner: str | None, limits: AnalystLimits = AnalystLimits()
) -> str:
    """Make a role that logs in and reads history, and return its password, which is stored nowhere in clear.

    Args:
        connection: in a transaction.
        name: of the role: a lower-case letter, then letters, digits and underscores.
        owner: whose jobs alone it sees; None: all.
        limits: of the role.

    Raises:
        Conflict: there is a role of that name.
        ConfigurationError: the roles that it is to be a member of are missing, or this user may not make roles.
    """
    if not _exists(connection, OWNER_ANALYST):
        raise ConfigurationError(
            f"The roles of analysts are missing, as the user of 'callboard migrate' may not make any. Run, as somebody "
            f"who may: {MAKE_ROLES} Then run 'callboard migrate' again."
        )
    if _exists(connection, name):
        raise Conflict(f"There is a database role {name!r} already. Choose another name.")
    password = secrets.token_urlsafe(24)
    driver = _driver(connection)
    # Hashed here: the password itself is in no statement and in no log of the server.
    hashed = driver.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    with _refusals_named():
        driver.execute(
            sql.SQL("CREATE ROLE {} LOGIN CONNECTION LIMIT {} PASSWORD {} IN ROLE {}").format(
                sql.Identifier(name),
                sql.Literal(limits.connections),
                sql.Literal(hashed),
                sql.Identifier(ANALYST if owner is None else OWNER_ANALYST),
            )
        )
        milliseconds = str(math.ceil(limits.statement_timeout * 1000))
        for setting, value in {
            "default_transaction_read_only": "on",
            "statement_timeout": milliseconds,
            "idle_in_transaction_session_timeout": milliseconds,
        }.items():
            driver.execute(
                sql.SQL("ALTER ROLE {} SET {} = {}").format(
                    sql.Identifier(name), sql.Identifier(setting), sql.Literal(value)
                )
            )
    if owner is not None:
        connection.execute(insert(analysts).values(name=name, owner=owner))
    return password


def remove_analyst(connection: Connection, name: str) -> None:
    """Remove a role that :func:`add_analyst` made. Its sessions end by themselves.

    Raises:
        NotFound: there is no analyst of that name.
        ConfigurationError: this user may not remove roles, or the role owns something.
    """
    if name not in dict(list_analysts(connection)):
        raise NotFound(f"There is no analyst {name!r}. 'callboard analysts list' shows them.")
    connection.execute(delete(analysts).where(analysts.c.name == name))
    with _refusals_named():
        _driver(connection).execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def list_analysts(connection: Connection) -> Sequence[tuple[str, str | None]]:
    """Return (name, owner) of each role that logs in as an analyst; owner None: it sees all jobs."""
    owners = {row.name: row.owner for row in connection.execute(select(analysts.c.name, analysts.c.owner))}
    members = connection.execute(
        text(
            "SELECT member.rolname FROM pg_auth_members JOIN pg_roles AS member ON member.oid = member "
            "JOIN pg_roles AS role ON role.oid = roleid "
            "WHERE role.rolname IN (:analyst, :owner_analyst) AND member.rolcanlogin "
            "AND member.rolname <> current_user ORDER BY 1"
        ),
        {"analyst": ANALYST, "owner_analyst": OWNER_ANALYST},
    ).scalars()
    return [(name, owners.get(name)) for name in members]


def _exists(connection: Connection, role: str) -> bool:
    rows = connection.execute(text("SELECT FROM pg_roles WHERE rolname = :role"), {"role": role})
    return rows.first() is not None


def _is_member(connection: Connection, role: str) -> bool:
    """Return whether this user may become ``role``.

    Granting the role again could conflict with the migration of another database of this server.
    """
    is_member = connection.execute(text("SELECT pg_has_role(CAST(:role AS name), 'MEMBER')"), {"role": role})
    return bool(is_member.scalar_one())


def _has_policy(connection: Connection, table: Table) -> bool:
    rows = connection.execute(
        text("SELECT FROM pg_policy WHERE polrelid = CAST(:table AS regclass) AND polname = :policy"),
        {"table": table.fullname, "policy": _POLICY},
    )
    return rows.first() is not None


def _run_if_allowed(connection: Connection, statement: str) -> bool:
    """Run a statement, and return whether what it makes is there now.

    Returns:
        False, with nothing changed, if this user may not run it. True also if another session has just done the same.
    """
    try:
        with connection.begin_nested():
            connection.execute(text(statement))
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.errors.DuplicateObject | psycopg.errors.UniqueViolation):
            return True
        if isinstance(error.orig, psycopg.errors.InsufficientPrivilege | psycopg.errors.InvalidGrantOperation):
            return False
        raise
    return True


def _driver(connection: Connection) -> psycopg.Connection:
    return cast("psycopg.Connection", connection.connection.driver_connection)


@contextmanager
def _refusals_named() -> Iterator[None]:
    """Turn refusals by PostgreSQL into a ConfigurationError."""
    try:
        yield
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.DependentObjectsStillExist) as error:
        raise ConfigurationError(f"The database user may not do this: {error.diag.message_primary}.") from error
