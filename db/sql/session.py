"""The settings of each connection that statements and psycopg rely on, whatever database and role have set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import psycopg
from psycopg import sql
from sqlalchemy import Connection, text

from callboard.db.settings import Settings

#: What statements mean, and how their rows are read.
_MEANING: Final = {
    # What psycopg reads times and intervals in; each day and hour of a statement without a zone is one of UTC.
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    # Fewer digits would change numbers on their way to the reader.
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    # Statements name the schema of all that is not PostgreSQL's.
    "search_path": "pg_catalog",
    # Of statements outside a block, too, whose BEGIN says so.
    "default_transaction_isolation": "read committed",
    # Else a query of an analyst would fail where it is to see some of the rows.
    "row_security": "on",
}

_PLANS: Final = {
    # JIT never pays for itself on statements of a few rows. A sequential scan looks best while a table is nearly empty,
    # and a prepared statement keeps that plan when the table has grown; every query here has an index, and joins by
    # nested loops.
    "jit": "off",
    "enable_seqscan": "off",
    "enable_indexscan": "on",
    "enable_bitmapscan": "on",
    "enable_nestloop": "on",
    "plan_cache_mode": "auto",
}

#: A pool's connections are idle for as long as there is nothing to do.
_ENDLESS: Final = {"idle_session_timeout": "0"}

#: What a transaction-mode pooler keeps for each of its clients, as PostgreSQL reports each change of it. PgBouncer does
#: so for IntervalStyle from version 1.20 on.
_KEPT_BY_POOLERS: Final = ("datestyle", "timezone", "standard_conforming_strings")

#: What must hold behind a pooler, too. Statements find everything by any search path, and the one that minds row
#: security sets it.
_RELIED_ON: Final = tuple(name for name in _MEANING if name not in {"search_path", "row_security"})

#: The longest wait for a table that others use: while a migration waits for it, all later users queue behind.
_LOCK_TIMEOUT: Final = "5s"

_TRANSACTION_TIMEOUT_SINCE: Final = 17_00_00


def startup_arguments(settings: Settings, role: str, *, options: str = "") -> dict[str, Any]:
    """Return psycopg's arguments for each connection of a process. They win over ALTER DATABASE and ALTER ROLE.

    Args:
        settings: timeouts, and whether a pooler is in between.
        role: becomes part of ``application_name``, which operators see in pg_stat_activity.
        options: of the database URL, which some hosts route by; those of this module come after them.
    """
    timeout = int(settings.statement_timeout * 1000)
    arguments = _common(settings, role) | {"tcp_user_timeout": timeout}
    if settings.database_pgbouncer:
        # Transaction pooling keeps no prepared statements and takes no startup options: behind a pooler, timeouts are
        # set on the database role.
        return arguments | {"prepare_threshold": None}
    timeouts = {
        "statement_timeout": str(timeout),
        "lock_timeout": str(timeout),
        "idle_in_transaction_session_timeout": str(timeout * 3),
    }
    return arguments | {"options": _options(_MEANING | _PLANS | _ENDLESS | timeouts, options)}


def direct_arguments(settings: Settings, role: str, *, options: str = "") -> dict[str, Any]:
    """Return psycopg's arguments for a connection to the direct URL, whose statements may take hours."""
    arguments = _common(settings, role)
    if settings.database_pgbouncer and settings.database_direct_url is None:
        return arguments
    timeouts = {
        "statement_timeout": "0",
        "lock_timeout": _LOCK_TIMEOUT,
        "idle_in_transaction_session_timeout": "0",
    }
    return arguments | {"options": _options(_MEANING | _ENDLESS | timeouts, options)}


def _common(settings: Settings, role: str) -> dict[str, Any]:
    return {
        "application_name": f"callboard {role}",
        "client_encoding": "UTF8",
        "connect_timeout": settings.connect_timeout,
        # A half-open connection is noticed after about this long instead of after the kernel's two hours.
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
    }


def _options(values: Mapping[str, str], others: str) -> str:
    ours = ("-c " + f"{name}={value}".replace(" ", r"\ ") for name, value in values.items())
    return " ".join([*([others] if others else ()), *ours])


def preparing(settings: Settings) -> Callable[[psycopg.Connection[Any]], None]:
    """Return what makes a new connection of a pool ready: it sets what cannot be sent with its start."""
    if settings.database_pgbouncer:
        return lambda connection: _set(connection, {name: _MEANING[name] for name in _KEPT_BY_POOLERS})
    return lift_transaction_timeout


def lift_transaction_timeout(connection: psycopg.Connection[Any]) -> None:
    """Allow transactions of any length, where the server has a limit for them (PostgreSQL 17)."""
    # An older server does not know it, and would refuse the connection.
    if connection.info.server_version >= _TRANSACTION_TIMEOUT_SINCE:
        _set(connection, {"transaction_timeout": "0"})


def _set(connection: psycopg.Connection[Any], values: Mapping[str, str]) -> None:
    connection.autocommit = True
    calls = sql.SQL(", ").join(
        sql.SQL("set_config({}, {}, false)").format(name, value) for name, value in values.items()
    )
    connection.execute(sql.SQL("SELECT {}").format(calls))
    connection.autocommit = False


def unsound_setting(connection: Connection) -> tuple[str, str] | None:
    """Return (name, right value) of a setting that statements rely on and that differs; None if there is none.

    Only behind a pooler that does not keep it, as each connection sets them all.
    """
    rows = connection.execute(
        text("SELECT name, setting FROM pg_settings WHERE lower(name) = ANY(:names)"), {"names": list(_RELIED_ON)}
    )
    for name, found in rows:
        wanted = _MEANING[name.lower()]
        # "ISO, DMY" is ISO; more than one extra digit is none too many.
        sound = int(found) >= int(wanted) if name == "extra_float_digits" else found.split(",")[0] == wanted
        if not sound:
            return name, wanted
    return None
