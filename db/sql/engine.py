"""Connections to PostgreSQL: one :class:`Database` a process, made at the entry point."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import orjson
from psycopg.errors import ReadOnlySqlTransaction
from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.dialects.postgresql.psycopg import dialect
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from callboard.db.errors import ConfigurationError, Unavailable
from callboard.db.settings import Settings
from callboard.db.sql.session import preparing, startup_arguments

#: The class of SQLSTATE codes (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_PROGRAM_LIMIT = "54"
#: Read-only transaction, missing right, full disk, no memory, failed disk, damaged table, damaged index.
_WRITES_NOTHING = frozenset({"25006", "42501", "53100", "53200", "58030", "XX001", "XX002"})


class Database:
    """A pool of connections with bounded waits everywhere.

    Every statement runs under ``statement_timeout``; connecting, waiting for a free connection and a dead network are
    bounded too, so no caller hangs. Safe to share between threads; not to be used across a fork.
    """

    def __init__(self, settings: Settings, *, role: str, pool_size: int | None = None) -> None:
        """``role`` (api, worker…) becomes part of ``application_name``, which operators see in pg_stat_activity.

        Raises:
            ConfigurationError: the database URL is missing or malformed.
        """
        size = pool_size or settings.database_pool_size
        url = sqlalchemy_url(settings.require_database_url())
        self._engine = create_engine(
            url,
            pool_size=size,
            max_overflow=0,
            pool_timeout=settings.connect_timeout,
            pool_use_lifo=True,
            isolation_level="READ COMMITTED",
            # Errors are logged, and parameters are what clients sent.
            hide_parameters=True,
            json_serializer=_dumps,
            json_deserializer=orjson.loads,
            connect_args=startup_arguments(settings, role, options=options_of(url)),
        )
        prepare = preparing(settings)
        # Before SQLAlchemy itself asks the first connection anything.
        event.listen(self._engine, "connect", lambda connection, _: prepare(connection), insert=True)
        event.listen(self._engine, "handle_error", _invalidate_on_standby)
        self._losses = 0
        self._refusals = _Refusals()
        event.listen(self._engine, "invalidate", self._count_loss)
        # The same pool; psycopg just leaves out BEGIN and COMMIT.
        self._autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Yield a connection in a transaction that commits at the end of the block.

        Raises:
            Unavailable: the database cannot be reached, or did not answer in time. After a lost COMMIT nobody knows
                whether it happened; every writer here can be repeated safely.
        """
        with _unavailable(self._refusals), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def autocommit(self) -> Iterator[Connection]:
        """Yield a connection where each statement is a durable transaction of its own: one round trip instead of three.

        Raises:
            Unavailable: as :meth:`begin`.
        """
        with _unavailable(self._refusals), self._autocommit.connect() as connection:
            yield connection

    def pinned(self, *, transactional: bool = False) -> PinnedConnection:
        """Return a connection that one thread keeps; see :class:`PinnedConnection`.

        Args:
            transactional: each block that uses it is one transaction, as with :meth:`begin`; by default each statement
                is, as with :meth:`autocommit`.
        """
        return PinnedConnection(
            self._engine if transactional else self._autocommit,
            lambda: self._losses,
            self._refusals,
            transactional=transactional,
        )

    def refused_write(self, *, within: float) -> str | None:
        """Return why PostgreSQL refused to write, if it did so in the last ``within`` seconds: the disk is full…"""
        return self._refusals.latest(within)

    def close(self) -> None:
        """Close all connections that are not in use."""
        self._engine.dispose()

    def _count_loss(self, *_: object) -> None:
        self._losses += 1


class PinnedConnection:
    """A connection that one busy thread keeps between its statements.

    Checking a connection out of the pool and in again costs as much processor time as the statement itself. This one is
    checked out at its first use, counts towards the pool's size, and is closed at its next use once any connection of
    the pool has turned out to be dead.
    """

    def __init__(self, engine: Engine, losses: Callable[[], int], refusals: _Refusals, *, transactional: bool) -> None:
        """
        Args:
            engine: provides the connection.
            losses: how many connections of the pool have turned out to be dead so far.
            refusals: of all connections of the pool.
            transactional: see :meth:`Database.pinned`.
        """
        self._engine = engine
        self._losses = losses
        self._refusals = refusals
        self._transactional = transactional
        self._losses_before = 0
        self._connection: Connection | None = None

    @contextmanager
    def use(self) -> Iterator[Connection]:
        """Yield the connection, for its thread alone. After an error the next call checks out another.

        Raises:
            Unavailable: as :meth:`Database.begin`.
        """
        with _unavailable(self._refusals):
            if self._losses() != self._losses_before:
                self.close()
            if self._connection is None:
                self._losses_before = self._losses()
                self._connection = self._engine.connect()
            try:
                with self._connection.begin() if self._transactional else nullcontext():
                    yield self._connection
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Return the connection to the pool.

        For its thread alone: another one would wait for the statement that runs on it, which may take for ever.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class _Refusals:
    """The last statement that PostgreSQL refused for a reason that ends all writes."""

    def __init__(self) -> None:
        self._last: tuple[float, str] | None = None

    def note(self, error: DBAPIError) -> None:
        if _sqlstate(error) in _WRITES_NOTHING:
            self._last = time.monotonic(), reason_of(error)

    def latest(self, within: float) -> str | None:
        at, reason = self._last or (-math.inf, None)
        return reason if time.monotonic() - at < within else None


@contextmanager
def _unavailable(refusals: _Refusals) -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise Unavailable(f"The database does not answer: {reason_of(error)}.") from error
    except DBAPIError as error:
        refusals.note(error)
        if isinstance(error, OperationalError | InterfaceError) and not _is_limit(error):
            raise Unavailable(f"The database does not answer: {reason_of(error)}.") from error
        if error.connection_invalidated:
            raise Unavailable(f"The database went away: {reason_of(error)}.") from error
        raise


def _invalidate_on_standby(context: ExceptionContext) -> None:
    """Invalidate all connections when one turns out to be read-only, which it was not when it was made.

    Its server has become a standby. New connections find the primary: by its name, or by the URL's
    ``target_session_attrs=read-write``.
    """
    if isinstance(context.original_exception, ReadOnlySqlTransaction):
        context.is_disconnect = True


def _is_limit(error: DBAPIError) -> bool:
    """Return whether the statement exceeds a limit of PostgreSQL; psycopg's exception for it is that of outages."""
    return _sqlstate(error).startswith(_PROGRAM_LIMIT)


def _sqlstate(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def sqlalchemy_url(url: str) -> URL:
    """Return ``url`` for SQLAlchemy with psycopg 3.

    As in libpq, it may name several hosts, separated by commas, and a host may be the directory of a socket, written
    ``%2Fvar%2Frun%2Fpostgresql``.

    Raises:
        ConfigurationError: ``url`` is not a PostgreSQL URL. The message does not repeat it: it may hold a password.
    """
    try:
        parsed = make_url(_with_one_host(url))
    except (ArgumentError, ValueError):
        parsed = None
    if parsed is None or parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise ConfigurationError(
            "CALLBOARD_DATABASE_URL is not a PostgreSQL URL. Write postgresql://user:password@host:port/name."
        )
    return parsed.set(drivername="postgresql+psycopg")


def _with_one_host(url: str) -> str:
    """Return ``url`` with several hosts, or a directory, moved to its query, which SQLAlchemy passes on to libpq."""
    parts = urlsplit(url)
    credentials, at, hosts = parts.netloc.rpartition("@")
    if "," not in hosts and not _is_directory(hosts):
        return url
    addresses = [_host_and_port(address) for address in hosts.split(",")]
    moved = [("host", ",".join(host for host, _ in addresses)), ("port", ",".join(str(port) for _, port in addresses))]
    return f"{parts.scheme}://{credentials}{at}{parts.path}?{urlencode([*parse_qsl(parts.query), *moved])}"


def _host_and_port(address: str) -> tuple[str, int]:
    parts = urlsplit(f"//{address}")
    # A directory keeps its capital letters, which a name in ``parts.hostname`` loses.
    host = unquote(address.partition(":")[0]) if _is_directory(address) else parts.hostname
    return host or "", parts.port or 5432


def _is_directory(host: str) -> bool:
    return host.lower().startswith("%2f")


def options_of(url: URL) -> str:
    """Return libpq's ``options`` in ``url``; empty if there are none."""
    options = url.query.get("options", "")
    return options if isinstance(options, str) else " ".join(options)


def driver_arguments(url: str) -> dict[str, Any]:
    """Return psycopg's own arguments for ``url``, for a connection that SQLAlchemy does not make.

    Raises:
        ConfigurationError: as :func:`sqlalchemy_url`.
    """
    _, arguments = dialect().create_connect_args(sqlalchemy_url(url))  # type: ignore[no-untyped-call]
    return dict(arguments)


def _dumps(value: object) -> str:
    return orjson.dumps(value).decode()


def reason_of(error: Exception) -> str:
    """Return the first line of a driver's message, which names host and cause but never the password."""
    origin = getattr(error, "orig", None) or error
    return str(origin).strip().splitlines()[0].rstrip(".") if str(origin).strip() else type(origin).__name__
