"""Tickets for one live stream each, for those who cannot send a key: browsers' ``EventSource`` sends no headers.

A ticket stands in the URL of its stream, where proxies log it: so it opens that URL alone, for a minute, and nothing
else. It is signed, not stored. Who made it is read anew at each use: a revoked key ends its tickets, too.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode

import orjson
from fastapi import Request

from callboard.api.auth.caller import Caller
from callboard.api.errors import Unauthenticated
from callboard.db.rules.roles import Role

PARAMETER: Final = "ticket"
#: Seconds in which a stream has to be opened.
LIFETIME: Final = 60
#: Seconds after which a stream that a ticket has opened ends at the latest; its reader comes back with a new one.
LONGEST_STREAM: Final = 3600
_PREFIX: Final = "cbs_"
_REFUSAL: Final = (
    "The ticket is not accepted here: it opens the stream that it was made for, for a minute. POST /v1/stream-tickets "
    "makes a new one. Where several api processes serve, CALLBOARD_TICKET_SECRET has to be the same for all."
)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who made a ticket."""

    owner: str
    role: Role
    key_id: str | None
    """Of the API key; None for a token of the identity provider."""


class StreamTickets:
    """Makes and verifies tickets."""

    def __init__(self, secret: str | None, *, clock: Callable[[], float] = time.time) -> None:
        """
        Args:
            secret: signs the tickets; None for one that only this process knows.
            clock: the time in seconds since 1970.
        """
        self._clock = clock
        self._secret = secrets.token_bytes(32) if secret is None else hashlib.sha256(secret.encode()).digest()

    def make(self, caller: Caller, path: str, query: str) -> tuple[str, int]:
        """Return a ticket for a stream, and when it expires, in seconds since 1970."""
        expires_at = int(self._clock()) + LIFETIME
        content = _encoded(orjson.dumps([expires_at, caller.owner, caller.role, caller.key_id]))
        return f"{_PREFIX}{content}.{self._signature(content, path, query)}", expires_at

    def holder(self, request: Request) -> Holder | None:
        """Return who made the ticket in the URL of a request; None without a ticket.

        Asked again about a request that it has accepted, it goes on accepting the ticket for as long as a stream lasts.

        Raises:
            Unauthenticated: it is not valid here, or not any more.
        """
        ticket = request.query_params.get(PARAMETER)
        if ticket is None:
            return None
        content, _, signature = ticket.removeprefix(_PREFIX).partition(".")
        expected = self._signature(content, request.scope["path"], request.scope["query_string"].decode("latin-1"))
        if not hmac.compare_digest(signature.encode(), expected.encode()):
            raise Unauthenticated.with_wrong_credentials(_REFUSAL)
        expires_at, owner, role, key_id = orjson.loads(_decoded(content))
        accepted: set[str] = request.scope.setdefault("state", {}).setdefault("accepted_tickets", set())
        if self._clock() >= expires_at + (LONGEST_STREAM if content in accepted else 0):
            raise Unauthenticated.with_wrong_credentials(_REFUSAL)
        accepted.add(content)
        return Holder(owner, Role(role), key_id)

    def _signature(self, content: str, path: str, query: str) -> str:
        others = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] != PARAMETER]
        message = f"{content}\n{path}?{urlencode(others)}"
        return _encoded(hmac.digest(self._secret, message.encode(), "sha256"))


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return binascii.a2b_base64(text.replace("-", "+").replace("_", "/") + "==")
