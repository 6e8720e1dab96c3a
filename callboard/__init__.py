"""Callboard: durable jobs over HTTP.

What a project that defines jobs imports::

    from callboard import Run, job

    @job("report.build", queue="reports")
    def build(payload: BuildReport, run: Run) -> Report: ...

What a program that submits them imports::

    from callboard import Client

What a FastAPI application imports whose endpoints are to run as jobs::

    from callboard import respond_async
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from callboard.actors.execution.interrupts import JobInterrupted
    from callboard.actors.types.adopt import adopt
    from callboard.actors.types.register import register
    from callboard.actors.types.registry import job
    from callboard.actors.types.run import Run
    from callboard.client import AsyncClient, Client
    from callboard.db.version import VERSION as __version__  # noqa: N811 - the name that tools look for
    from callboard.integrations.fastapi.respond_async import respond_async

__all__ = [
    "AsyncClient",
    "Client",
    "JobInterrupted",
    "Run",
    "__version__",
    "adopt",
    "job",
    "register",
    "respond_async",
]

# Loaded when first asked for: a worker has no use for an HTTP client, nor a client for Pydantic.
_HOMES: Final = {
    "AsyncClient": ("callboard.client", "AsyncClient"),
    "Client": ("callboard.client", "Client"),
    "JobInterrupted": ("callboard.actors.execution.interrupts", "JobInterrupted"),
    "Run": ("callboard.actors.types.run", "Run"),
    "__version__": ("callboard.db.version", "VERSION"),
    "adopt": ("callboard.actors.types.adopt", "adopt"),
    "job": ("callboard.actors.types.registry", "job"),
    "register": ("callboard.actors.types.register", "register"),
    "respond_async": ("callboard.integrations.fastapi.respond_async", "respond_async"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value = globals()[name] = getattr(importlib.import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
