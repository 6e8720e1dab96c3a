"""Clients that leave before their response is complete."""

from __future__ import annotations

from starlette.types import Receive


async def disconnected(receive: Receive) -> None:
    """Return when the client has closed its connection. ``receive``: of a request whose body has been read."""
    while (await receive())["type"] != "http.disconnect":
        pass
