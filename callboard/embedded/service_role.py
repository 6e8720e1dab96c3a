"""The role that Callboard's processes log in as: it owns Callboard's schemas, and has no other power in the cluster."""

from __future__ import annotations

from typing import Final, LiteralString

import psycopg
from psycopg import sql

from callboard.db.models import SCHEMA
from callboard.db.schema.analysts import ANALYST, OWNER_ANALYST
from callboard.db.schema.analytics import ANALYTICS

SERVICE_ROLE: Final = "callboard_service"

_SETTINGS: Final = "-c statement_timeout=0 -c lock_timeout=10s -c search_path=pg_catalog"
_SCHEMAS: Final = (SCHEMA, ANALYTICS)

#: What the superuser owns in the schemas: all of it where an earlier version made it, and what "callboard migrate" made
#: as the superuser. A sequence of a column follows its table.
_TO_HAND_OVER: Final[LiteralString] = """
WITH mine AS (SELECT oid, nspname FROM pg_namespace WHERE nspname = ANY(%(schemas)s))
SELECT format('ALTER %%s %%s OWNER TO %%I', kind, name, %(role)s::text)
FROM (
    SELECT 'SCHEMA' AS kind, quote_ident(nspname) AS name, nspowner AS owner
    FROM pg_namespace WHERE nspname = ANY(%(schemas)s)
    UNION ALL
    SELECT
        CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
        format('%%I.%%I', nspname, relname), relowner
    FROM pg_class JOIN mine ON mine.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm', 'S') AND NOT EXISTS (
        SELECT FROM pg_depend
        WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND relkind = 'S' AND deptype IN ('a', 'i')
    )
    UNION ALL
    SELECT
        'ROUTINE', format('%%I.%%I(%%s)', nspname, proname, pg_get_function_identity_arguments(pg_proc.oid)), proowner
    FROM pg_proc JOIN mine ON mine.oid = pronamespace
    UNION ALL
    SELECT 'STATISTICS', format('%%I.%%I', nspname, stxname), stxowner
    FROM pg_statistic_ext JOIN mine ON mine.oid = stxnamespace
) AS things
WHERE owner = current_user::regrole
"""


def prepare_service_role(url: str, password: str) -> None:
    """Make the role, and hand over to it what the superuser owns in Callboard's schemas. A second call changes nothing.

    It may make no roles, so the roles of analysts are made here, too.

    Args:
        url: the superuser's.
        password: of the role.

    Raises:
        psycopg.Error: the server does not answer, or a table is in use for long.
    """
    role = sql.Identifier(SERVICE_ROLE)
    with psycopg.connect(url, options=_SETTINGS) as connection:
        for name in (SERVICE_ROLE, ANALYST, OWNER_ANALYST):
            if not _exists(connection, "SELECT FROM pg_roles WHERE rolname = %s", name):
                connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))
        # Hashed here: the password itself is in no statement and in no log of the server.
        hashed = connection.pgconn.encrypt_password(password.encode(), SERVICE_ROLE.encode(), b"scram-sha-256")
        connection.execute(
            sql.SQL(
                "ALTER ROLE {} LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS PASSWORD {}"
            ).format(role, sql.Literal(hashed.decode()))
        )
        # For ``callboard history sql``; and the rollups go faster where they see when the transactions of others began.
        connection.execute(sql.SQL("GRANT {}, pg_read_all_stats TO {}").format(sql.Identifier(ANALYST), role))
        for schema in _SCHEMAS:
            if not _exists(connection, "SELECT FROM pg_namespace WHERE nspname = %s", schema):
                connection.execute(sql.SQL("CREATE SCHEMA {} AUTHORIZATION {}").format(sql.Identifier(schema), role))
        for (statement,) in connection.execute(
            _TO_HAND_OVER, {"schemas": list(_SCHEMAS), "role": SERVICE_ROLE}
        ).fetchall():
            connection.execute(statement)


def _exists(connection: psycopg.Connection, query: LiteralString, name: str) -> bool:
    return connection.execute(query, [name]).fetchone() is not None
