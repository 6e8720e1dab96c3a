"""Authenticates a request: API key, OIDC token, or, on an open server, that it comes from this machine."""

from __future__ import annotations

import hmac
from typing import Final

from fastapi import Request

from callboard.api.auth.caller import Caller, local_admin, quota_of
from callboard.api.auth.loopback import is_loopback
from callboard.api.auth.origins import RawHeaders, require_loopback_host, require_no_proxy, require_own_origin
from callboard.api.auth.stream_tickets import Holder
from callboard.api.errors import Unauthenticated
from callboard.api.services import Services, services_of
from callboard.db.access.keys import Key
from callboard.db.rules.key_text import PREFIX, KeyText
from callboard.db.settings import Settings

_HOW: Final = "Send Authorization: Bearer <key>; 'callboard keys create' makes one."


class Authenticator:
    """The ``authenticate`` argument of ``create_app`` for servers."""

    def __init__(self, *, local: bool) -> None:
        """``local``: the server listens on loopback, where no credentials are needed until the first key is made."""
        self._local = local

    async def __call__(self, request: Request) -> Caller:
        """Return the caller of the request.

        Raises:
            Unauthenticated: the credentials are missing or not accepted.
            Forbidden: the token is valid, and names no role; or the server is open, but not to this request.
            MisdirectedRequest: the server is open, and the request names another host.
            Unavailable: the database or the identity provider did not answer.
        """
        services = services_of(request)
        if self._local and await _needs_no_credentials(services):
            _require_direct(request, services.settings)
            if _is_from_this_machine(request):
                return await local_admin(request)
        authorization = request.headers.get("authorization")
        if authorization is None:
            holder = services.tickets.holder(request)
            if holder is not None:
                return await _caller_of_ticket(services, holder)
            raise Unauthenticated.without_credentials(f"The request has no credentials. {_HOW}")
        scheme, _, credentials = authorization.partition(" ")
        credentials = credentials.strip()
        if scheme.lower() != "bearer" or not credentials:
            raise Unauthenticated.without_credentials(f"The Authorization header is of another form. {_HOW}")
        if services.tokens is not None and not credentials.startswith(PREFIX):
            return await services.tokens.caller(credentials)
        return await _caller_of_key(services, credentials)


async def _needs_no_credentials(services: Services) -> bool:
    return services.tokens is None and not (await services.keys.keys()).any_made


def _require_direct(request: Request, settings: Settings) -> None:
    """Require that somebody on this machine has sent the request, and no page of somebody else in their browser."""
    headers: RawHeaders = request.scope["headers"]
    require_no_proxy(headers)
    require_loopback_host(headers)
    require_own_origin(request.method, request.scope["scheme"], headers, trusted=settings.cors_origins)


def _is_from_this_machine(request: Request) -> bool:
    # Behind a proxy that the server trusts, this is the address that the proxy names.
    return request.client is not None and is_loopback(request.client.host)


async def _caller_of_key(services: Services, credentials: str) -> Caller:
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


async def _caller_of_ticket(services: Services, holder: Holder) -> Caller:
    if holder.key_id is None:
        return Caller(holder.owner, holder.role)
    key = await services.keys.find(holder.key_id)
    if key is None:
        raise Unauthenticated.with_wrong_credentials("The key that made this ticket is revoked or expired.")
    return _caller(key, services.settings)


def _caller(key: Key, settings: Settings) -> Caller:
    quota = quota_of(
        settings,
        f"key:{key.key_id}",
        key.role,
        max_live_jobs=key.max_live_jobs,
        submissions_per_second=key.submissions_per_second,
    )
    return Caller(key.owner, key.role, quota, key.key_id)
