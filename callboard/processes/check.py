"""``callboard check``: tries all that the processes of a deployment need, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from sqlalchemy import text

from callboard.actors.broker.amqp import Rabbitmq
from callboard.actors.broker.connection import open_connection
from callboard.actors.broker.transport import TransportError
from callboard.api.auth.oidc import Tokens
from callboard.db.errors import CallboardError, ConfigurationError, Unavailable
from callboard.db.files.storage import open_storage
from callboard.db.models import SCHEMA, metadata
from callboard.db.schema.migrate import schema_is_current
from callboard.db.settings import Settings, unknown_variables
from callboard.db.sql.engine import Database
from callboard.processes.job_types import JobTypesTrial
from callboard.processes.signals import StopSignal

_OLDEST_VERSION: Final = 15
_CONTENT: Final = b"callboard check"

_STATE: Final = text(
    f"""
    SELECT
        current_setting('server_version_num')::integer / 10000 AS version,
        current_setting('server_encoding') AS encoding,
        current_setting('transaction_read_only')::boolean AS read_only,
        (
            SELECT min(relname) FROM pg_class
            WHERE relnamespace = to_regnamespace('{SCHEMA}') AND relname = ANY(:tables)
                AND NOT (
                    has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
                    AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE')
                )
        ) AS closed_table
    """  # noqa: S608 - a name of ours
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one check."""

    name: str
    says: str
    ok: bool


def check(settings: Settings, stop: StopSignal) -> Iterator[Finding]:
    """Yield a finding for each of settings, job types, database, broker, storage and identity provider, in this order.

    Args:
        settings: as the processes would have them.
        stop: ends the trial of the job modules.
    """
    checks: list[tuple[str, Callable[[], str]]] = [
        ("settings", _variables),
        ("job types", lambda: _job_types(settings, stop)),
        ("database", lambda: _database(settings)),
        ("broker", lambda: _broker(settings)),
        ("files", lambda: _files(settings)),
        ("tokens", lambda: _tokens(settings)),
    ]
    for name, run in checks:
        try:
            yield Finding(name, run(), ok=True)
        except (CallboardError, TransportError) as error:
            yield Finding(name, " ".join(str(error).split()), ok=False)


def _variables() -> str:
    unknown = unknown_variables()
    return f"unknown, and ignored: {', '.join(unknown)}" if unknown else "fit"


def _job_types(settings: Settings, stop: StopSignal) -> str:
    with JobTypesTrial({}, built_in=True) as trial:
        queues = trial.queues(stop) or ()
    modules = ", ".join(settings.job_modules) or "no modules of your own"
    return f"{modules}; queues: {', '.join(queues)}"


def _database(settings: Settings) -> str:
    with closing(Database(settings, role="check", pool_size=1)) as database, database.begin() as connection:
        state = connection.execute(_STATE, {"tables": [table.name for table in metadata.sorted_tables]}).one()
        if state.version < _OLDEST_VERSION:
            raise ConfigurationError(f"This is PostgreSQL {state.version}; 15 or later is needed.")
        if state.encoding != "UTF8":
            raise ConfigurationError(
                f"The database is encoded in {state.encoding}. Make one with ENCODING 'UTF8' TEMPLATE template0."
            )
        if not schema_is_current(connection):
            raise ConfigurationError("The schema is older than this version, or missing. Run 'callboard migrate'.")
        if state.closed_table is not None:
            raise ConfigurationError(f"The user of the database URL may not write {SCHEMA}.{state.closed_table}.")
        if state.read_only:
            raise ConfigurationError("The database takes no writes: it is a standby, or set to be read-only.")
    return f"PostgreSQL {state.version}, {state.encoding}, migrated, writable"


def _broker(settings: Settings) -> str:
    if settings.amqp_url is None:
        return "CALLBOARD_AMQP_URL is not set: only 'callboard api' and 'callboard up' work without it"
    connection = open_connection(Rabbitmq.from_settings(settings), "check", 0.1)
    connection.close()
    return f"RabbitMQ at {connection.address}"


def _files(settings: Settings) -> str:
    storage = open_storage(settings)
    file_id = uuid4()
    storage.put(file_id, [_CONTENT])
    try:
        if b"".join(storage.read(file_id, 0, len(_CONTENT))) != _CONTENT:
            raise Unavailable("The storage gives back something else than was stored.")
    finally:
        storage.delete(file_id)
    return "written, read and deleted"


def _tokens(settings: Settings) -> str:
    return "of API keys only" if Tokens.from_settings(settings) is None else f"of {settings.oidc_issuer}, and API keys"
