"""An api process: uvicorn with the application."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

from callboard.db.access.keys import any_valid_key
from callboard.db.errors import ConfigurationError, Unavailable
from callboard.db.schema.suitability import require_suitable
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database

# Seconds for requests to end when the server stops. Those that wait for a job end at once.
_GRACE = 10


def run_api(settings: Settings, *, host: str, port: int, metrics_directory: str | None = None) -> int:
    """Serve HTTP until SIGTERM; return the exit code.

    Args:
        settings: of this process.
        host: address to listen on.
        port: to listen on.
        metrics_directory: of ``ChildMetrics``, where this process is one of several whose metrics it shows.

    Raises:
        ConfigurationError: the address is not loopback and there is no authentication, or it cannot be bound,
            or the database is not suitable.
    """
    # Here, as 'callboard up' serves nothing itself, and needs what else there is in this module.
    import uvicorn

    from callboard.actors.types.loading import load_job_types
    from callboard.api.app import create_app
    from callboard.api.authenticator import Authenticator
    from callboard.api.server.protocol import BoundedConnection
    from callboard.api.server.server import Server, allow_many_connections, spare_garbage_collection

    local = is_loopback(host)
    if not local:
        require_authentication(settings, host)
    registry = load_job_types(settings.job_modules, diagnostics=settings.diagnostics)
    app = create_app(
        settings,
        registry,
        authenticate=Authenticator(local=local),
        metrics_directory=None if metrics_directory is None else Path(metrics_directory),
    )
    require_suitable(settings)
    listening = bind(host, port)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=BoundedConnection,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
    allow_many_connections()
    spare_garbage_collection()
    with listening:
        Server(app, config).run(sockets=[listening])
    return 0


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is reachable from this machine only.

    Raises:
        ConfigurationError: the host cannot be resolved.
    """
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError as error:
        raise ConfigurationError(f"The address {host!r} cannot be resolved: {error.strerror}.") from error
    return all(ipaddress.ip_address(address).is_loopback for address in addresses)


def require_authentication(settings: Settings, host: str) -> None:
    """Return if clients can authenticate: with an API key, or at an identity provider.

    Raises:
        ConfigurationError: they cannot, so serving on ``host`` makes no sense; or the database cannot be reached.
    """
    from callboard.api.auth.oidc import Tokens

    if Tokens.from_settings(settings) is not None:
        return
    database = Database(settings, role="api start", pool_size=1)
    try:
        with database.begin() as connection:
            if any_valid_key(connection):
                return
    except Unavailable as error:
        raise ConfigurationError(
            f"Cannot tell whether there is an API key, as serving on {host!r} needs: {error}"
        ) from error
    finally:
        database.close()
    raise ConfigurationError(
        f"Refusing to serve on {host!r}: no API key has been made, so nobody who reaches this address could be told "
        "from anybody else. Make one with 'callboard keys create', or serve on 127.0.0.1."
    )


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        ConfigurationError: the port is taken or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise ConfigurationError(
            f"Cannot serve on {host}:{port}: {error.strerror}. Choose another port with --port."
        ) from error
    return listening
