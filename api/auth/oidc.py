"""Authentication by tokens of an OpenID Connect provider: signed JWTs with a subject and a role."""

from __future__ import annotations

import re
from typing import Any, Final, Self

import jwt
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from callboard.api.auth.caller import Caller, quota_of
from callboard.api.auth.jwks import Jwks
from callboard.api.errors import Forbidden, Unauthenticated
from callboard.db.errors import ConfigurationError
from callboard.db.rules.roles import Role
from callboard.db.settings import Settings

#: Seconds by which the clocks of the provider and this machine may differ.
_LEEWAY: Final = 30
_MAX_TOKEN_LENGTH: Final = 16 * 2**10
#: An owner is stored, listed and logged: no control characters, nothing that PostgreSQL cannot hold.
_SUBJECT: Final = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,255}")
#: In the order of their permissions, the fewest first.
_ROLES: Final = (Role.CLIENT, Role.VIEWER, Role.OPERATOR, Role.ADMIN)


class Tokens:
    """Verifies tokens. Used in one event loop."""

    def __init__(self, settings: Settings, jwks: Jwks, *, issuer: str, audience: str) -> None:
        self._settings = settings
        self._jwks = jwks
        self._issuer = issuer
        self._audience = audience

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """Return the verifier of the provider's tokens; None where the settings name no provider.

        Raises:
            ConfigurationError: only some of the provider's settings are there, or the JWKS URL is not safe.
        """
        url, issuer, audience = settings.oidc_jwks_url, settings.oidc_issuer, settings.oidc_audience
        if url is None and issuer is None and audience is None:
            return None
        if url is None or issuer is None or audience is None:
            raise ConfigurationError(
                "CALLBOARD_OIDC_JWKS_URL, CALLBOARD_OIDC_ISSUER and CALLBOARD_OIDC_AUDIENCE belong together: set all "
                "three, or none."
            )
        return cls(settings, Jwks(url), issuer=issuer, audience=audience)

    async def caller(self, token: str) -> Caller:
        """Return the caller that a token authenticates.

        Raises:
            Unauthenticated: the token is not valid.
            Forbidden: the token is valid, and names no role.
            Unavailable: the provider's keys cannot be fetched.
        """
        claims = self._claims(token, await self._jwks.key(_kid(token)))
        subject = claims["sub"]
        if _SUBJECT.fullmatch(subject) is None:
            raise Unauthenticated.with_wrong_credentials("The token's subject cannot be an owner.")
        # Whoever chooses a subject at the provider must not choose the owner of an API key.
        owner = self._settings.oidc_owner_prefix + subject
        role = self._role(claims)
        return Caller(owner, role, quota_of(self._settings, f"subject:{owner}", role))

    def close(self) -> None:
        """Stop fetching keys. Called in the loop."""
        self._jwks.close()

    def _claims(self, token: str, key: PyJWK | None) -> dict[str, Any]:
        if key is None:
            raise Unauthenticated.with_wrong_credentials(
                "The token is signed with a key that the issuer does not have."
            )
        try:
            return jwt.decode(
                token,
                key,
                # The key's own, whatever the token says: never "none", never a symmetric one.
                algorithms=[key.algorithm_name],
                issuer=self._issuer,
                audience=self._audience,
                leeway=_LEEWAY,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (PyJWTError, ValueError, TypeError, OverflowError) as error:
            # Only the kind of the error: its message may repeat parts of the token.
            raise Unauthenticated.with_wrong_credentials(
                f"The token is not accepted ({_words(type(error).__name__)})."
            ) from None

    def _role(self, claims: dict[str, Any]) -> Role:
        name = self._settings.oidc_role_claim
        claim = claims.get(name)
        values = claim if isinstance(claim, list) else [claim]
        for role in reversed(_ROLES):
            if role.value in values:
                return role
        raise Forbidden(f"The token's claim {name!r} has none of the roles {', '.join(_ROLES)}.")


def _kid(token: str) -> str | None:
    """Return the key id in the header of a token, which is not verified yet.

    Raises:
        Unauthenticated: the text is not a token, or too long for one.
    """
    try:
        kid = jwt.get_unverified_header(token if len(token) <= _MAX_TOKEN_LENGTH else "").get("kid")
    except (PyJWTError, ValueError):
        raise Unauthenticated.with_wrong_credentials("This is neither an API key nor a token (JWT).") from None
    return kid if isinstance(kid, str) else None


def _words(name: str) -> str:
    """Return the name of an exception in words: ``ExpiredSignatureError`` as ``expired signature``."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", name.removesuffix("Error")).lower()
