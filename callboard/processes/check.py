"""``callboard check``: tries all that the processes of a deployment need, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from callboard.actors.broker.amqp import Rabbitmq
from callboard.actors.broker.connection import open_connection
from callboard.actors.broker.transport import TransportError
from callboard.api.auth.oidc import Tokens
from callboard.db.errors import CallboardError, ConfigurationError, Unavailable
from callboard.db.files.storage import open_storage
from callboard.db.schema.migrate import SCHEMA_IS_OLDER, schema_is_current
from callboard.db.schema.suitability import DatabaseState
from callboard.db.settings import Settings, unknown_variables
from callboard.db.sql.engine import Database
from callboard.processes.job_types import JobTypesTrial
from callboard.processes.signals import StopSignal

_CONTENT: Final = b"callboard check"


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
        state = DatabaseState.of(connection)
        older = None if state.unsuitable or schema_is_current(connection) else SCHEMA_IS_OLDER
        if (problem := state.unsuitable or older or state.unwritable) is not None:
            raise ConfigurationError(problem)
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
