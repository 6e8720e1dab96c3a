"""The public keys (JWKS, RFC 7517) of an OpenID Connect provider, fetched on demand and cached."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx
import orjson
import structlog
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from callboard.api.auth.loopback import is_loopback
from callboard.db.errors import ConfigurationError, Unavailable

_log = structlog.get_logger(__name__)

#: The one algorithm for each kind of key. None of them is symmetric: a public key never serves as a shared secret.
_ALGORITHMS: Final = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}
_MIN_RSA_BITS: Final = 2048

#: Seconds.
_REFRESH_AFTER: Final = 300.0
_EXPIRE_AFTER: Final = 3600.0
_MIN_FETCH_INTERVAL: Final = 10.0
_FETCH_TIMEOUT: Final = 5.0
_MAX_BYTES: Final = 2**20
_MAX_KEYS: Final = 100


class Jwks:
    """The cached key set of one URL. Used in one event loop.

    Keys that are five minutes old are fetched anew in the background. A token with an unknown key id has them fetched
    at once, but not within ten seconds of the last fetch. While the provider is away, or answers without a usable key,
    they are used for up to an hour.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            url: of the key set; https, or http on loopback.
            clock: returns seconds; by it keys grow old.

        Raises:
            ConfigurationError: the URL is not safe: somebody between here and the provider could send other keys.
        """
        parsed = httpx.URL(url)
        is_local = parsed.host == "localhost" or is_loopback(parsed.host)
        if parsed.scheme != "https" and not (parsed.scheme == "http" and is_local):
            raise ConfigurationError("CALLBOARD_OIDC_JWKS_URL must be an https URL (or http on loopback).")
        self._url = parsed
        self._clock = clock
        self._keys: Mapping[str | None, PyJWK] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fetch: asyncio.Task[None] | None = None

    async def key(self, kid: str | None) -> PyJWK | None:
        """Return the key with an id; None if the provider has none.

        Args:
            kid: the id; None for tokens that name no key, which are signed with the provider's only one.

        Raises:
            Unavailable: the provider did not answer, and the keys fetched before have expired.
        """
        age = self._age()
        if age > _EXPIRE_AFTER:
            await self._refresh()
            if self._age() > _EXPIRE_AFTER:
                raise Unavailable("The identity provider's keys could not be fetched.")
        elif kid not in self._keys:
            await self._refresh()
        elif age > _REFRESH_AFTER:
            self._start_fetch()
        return self._keys.get(kid)

    def close(self) -> None:
        """Cancel the fetch under way. Called in the loop."""
        if self._fetch is not None:
            self._fetch.cancel()

    def _age(self) -> float:
        return math.inf if self._fetched_at is None else self._clock() - self._fetched_at

    async def _refresh(self) -> None:
        if (fetch := self._start_fetch()) is not None:
            # Shielded: other requests wait for it too.
            await asyncio.shield(fetch)

    def _start_fetch(self) -> asyncio.Task[None] | None:
        """Return the fetch under way, or a new one; None within the minimum interval after the last."""
        now = self._clock()
        if self._fetch is None and (self._tried_at is None or now - self._tried_at >= _MIN_FETCH_INTERVAL):
            self._tried_at = now
            self._fetch = asyncio.create_task(self._update())
        return self._fetch

    async def _update(self) -> None:
        try:
            document = await asyncio.to_thread(_get, self._url)
            self._keys = _signing_keys(document)
            self._fetched_at = self._clock()
        except (httpx.HTTPError, ValueError) as error:
            _log.warning("jwks_not_fetched", reason=str(error) or type(error).__name__)
        finally:
            self._fetch = None


def _get(url: httpx.URL) -> Any:
    """Return the JSON document.

    Raises:
        httpx.HTTPError: the connection failed or timed out.
        ValueError: the response has another status than 200, is not JSON, is too large, or came too slowly.
    """
    deadline = time.monotonic() + _FETCH_TIMEOUT
    # Neither redirects nor a proxy nor credentials of the environment.
    with (
        httpx.Client(timeout=_FETCH_TIMEOUT, trust_env=False) as client,
        client.stream("GET", url, headers={"Accept": "application/json"}) as response,
    ):
        if response.status_code != httpx.codes.OK:
            raise ValueError(f"the response was {response.status_code}")
        content = bytearray()
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > _MAX_BYTES:
                raise ValueError(f"the key set has more than {_MAX_BYTES} bytes")
            if time.monotonic() > deadline:
                raise ValueError(f"the key set took longer than {_FETCH_TIMEOUT:g} seconds")
    return orjson.loads(content)


def _signing_keys(document: Any) -> Mapping[str | None, PyJWK]:
    """Return the signing keys of the supported algorithms, by id. A single one is under None too.

    Raises:
        ValueError: the document is not a key set, or has no such key: an answer that is cut short or of another service
            must not lock out everybody.
    """
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ValueError("the response is not a JSON Web Key Set")  # noqa: TRY004 - of a response, not an argument
    keys = [key for item in document["keys"][:_MAX_KEYS] if (key := _key(item)) is not None]
    if not keys:
        raise ValueError("the key set has no signing key of RS256, ES256 or EdDSA (Ed25519)")
    by_id: dict[str | None, PyJWK] = {key.key_id: key for key in keys if key.key_id is not None}
    if len(keys) == 1:
        by_id[None] = keys[0]
    return by_id


def _key(item: Any) -> PyJWK | None:
    """Return the signing key, or None if it is for something else, malformed, unsupported or too short."""
    if not isinstance(item, dict) or item.get("use", "sig") != "sig":
        return None
    algorithm = _ALGORITHMS.get((str(item.get("kty")), str(item["crv"]) if "crv" in item else None))
    if algorithm is None or item.get("alg", algorithm) != algorithm:
        return None
    try:
        key = PyJWK(item, algorithm)
    except (PyJWTError, ValueError, TypeError):
        return None
    if algorithm == "RS256" and key.key.key_size < _MIN_RSA_BITS:
        return None
    return key
