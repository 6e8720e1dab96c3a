"""The actor of a request, for the audit log."""

from __future__ import annotations

import structlog
from fastapi import Request

from callboard.api.auth.caller import Caller
from callboard.db.access.audit import Actor


def actor_of(request: Request, caller: Caller) -> Actor:
    """Return the actor: the caller and its key, the client's address as the server sees it, the request's id."""
    remote = None if request.client is None else request.client.host
    return Actor(caller.owner, remote, structlog.contextvars.get_contextvars().get("request_id"), caller.key_id)
