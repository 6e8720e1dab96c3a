"""An api process: uvicorn with the application."""

from __future__ import annotations

import ipaddress
import socket

import uvicorn

from actors.registry import load_job_types
from api.app import create_app
from db.errors import ConfigurationError
from db.settings import Settings

# Requests that wait for a job end by themselves when the server stops; this bounds the others.
_GRACE = 10


def run_api(settings: Settings, *, host: str, port: int) -> int:
    """Serve HTTP until SIGTERM; return the exit code.

    Raises:
        ConfigurationError: the address is not loopback and there is no authentication, or it cannot be bound.
    """
    refuse_open_address(host)
    app = create_app(settings, load_job_types(settings.job_modules, diagnostics=settings.diagnostics))
    listening = bind(host, port)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
    with listening:
        uvicorn.Server(config).run(sockets=[listening])
    return 0


def refuse_open_address(host: str) -> None:
    """Return if ``host`` reaches this machine alone.

    Raises:
        ConfigurationError: others could reach it, and nothing would tell who they are.
    """
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError as error:
        raise ConfigurationError(f"The address {host!r} cannot be resolved: {error.strerror}.") from error
    if not all(ipaddress.ip_address(address).is_loopback for address in addresses):
        raise ConfigurationError(
            f"Refusing to serve on {host!r}: no API key has been made, so anybody who reaches this address could run "
            "jobs. Serve on 127.0.0.1, or put a proxy that authenticates in front."
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
