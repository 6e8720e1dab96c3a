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

from typing import TYPE_CHECKING, Any

from actors.adopt import adopt
from actors.context import Run
from actors.interrupts import JobInterrupted
from actors.register import register
from actors.registry import job
from db.version import VERSION as __version__  # noqa: N811 - the name that tools look for

if TYPE_CHECKING:
    from callboard.client import AsyncClient, Client
    from callboard.endpoints.respond_async import respond_async

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


def __getattr__(name: str) -> Any:
    # Workers import this package too, and have no use for an HTTP client or FastAPI.
    if name in {"AsyncClient", "Client"}:
        from callboard import client  # noqa: PLC0415

        return getattr(client, name)
    if name == "respond_async":
        from callboard.endpoints.respond_async import respond_async  # noqa: PLC0415

        return respond_async
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
