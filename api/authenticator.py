"""Tells who sends a request: by an API key, by a token, or by reaching a server that is open to this machine."""

from __future__ import annotations

import hmac
import ipaddress
from functools import lru_cache
from typing import Final

from fastapi import Request

from callboard.api.auth.caller import Caller, Quota, local_admin
from callboard.api.errors import Unauthenticated
from callboard.api.services import Services, services_of
from callboard.db.access.keys import Key
from callboard.db.rules.key_text import PREFIX, KeyText
from callboard.db.settings import Settings

_HOW: Final = "Send Authorization: Bearer <key>; 'callboard keys create' makes one."


class Authenticator:
    """What ``create_app`` takes as ``authenticate``."""

    def __init__(self, *, local: bool) -> None:
        """``local``: the server is on loopback, where it is open until the first key is made."""
        self._local = local

    async def __call__(self, request: Request) -> Caller:
        """Return who sent the request.

        Raises:
            Unauthenticated: nobody knows.
            Forbidden: the token is valid, and names no role.
            Unavailable: the database or the identity provider did not answer.
        """
        services = services_of(request)
        if self._local and await _is_open(services) and _is_from_here(request):
            return await local_admin(request)
        given = request.headers.get("authorization")
        if given is None:
            raise Unauthenticated.without_credentials(f"The request has no credentials. {_HOW}")
        scheme, _, credentials = given.partition(" ")
        credentials = credentials.strip()
        if scheme.lower() != "bearer" or not credentials:
            raise Unauthenticated.without_credentials(f"The Authorization header is of another form. {_HOW}")
        if services.tokens is not None and not credentials.startswith(PREFIX):
            return await services.tokens.caller(credentials)
        return await _by_key(services, credentials)


async def _is_open(services: Services) -> bool:
    return services.tokens is None and not (await services.keys.keys()).any_made


def _is_from_here(request: Request) -> bool:
    """Whether the client is on this machine too: a proxy in front says for whom it asks."""
    return request.client is not None and _is_loopback(request.client.host)


@lru_cache(maxsize=64)
def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _by_key(services: Services, credentials: str) -> Caller:
    text = KeyText.parse(credentials)
    if text is None:
        raise Unauthenticated.with_wrong_credentials(
            "This is not an API key: its form or its checksum is wrong. Was it cut off or mistyped?"
        )
    if text.environment != services.settings.environment:
        raise Unauthenticated.with_wrong_credentials(
            f"This key is for the environment {text.environment!r}, this server is {services.settings.environment!r}."
        )
    key = await services.keys.find(text.key_id)
    if key is None or not hmac.compare_digest(key.secret_sha256, text.secret_sha256):
        raise Unauthenticated.with_wrong_credentials("This key is unknown, revoked or expired.")
    return _caller(key, services.settings)


def _caller(key: Key, settings: Settings) -> Caller:
    most, rate = key.max_live_jobs, key.submissions_per_second
    quota = Quota(
        f"key:{key.key_id}",
        settings.max_live_jobs if most is None else most,
        settings.submissions_per_second if rate is None else rate,
    )
    return Caller(key.owner, key.role, quota)
