"""The public keys of an OpenID Connect provider, fetched when they are needed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final

import httpx
import orjson
import structlog
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from callboard.db.errors import ConfigurationError, Unavailable

_log = structlog.get_logger(__name__)

#: The one algorithm for each kind of key. None of them is symmetric: a public key never serves as a shared secret.
_ALGORITHMS: Final = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}
_LEAST_RSA_BITS: Final = 2048

#: Seconds.
_RENEW_AFTER: Final = 300.0
_OLDEST: Final = 3600.0
_BETWEEN_FETCHES: Final = 10.0
_LONGEST_FETCH: Final = 5.0
_MOST_BYTES: Final = 2**20
_MOST_KEYS: Final = 100


class Jwks:
    """The key set of one URL. Used in one event loop.

    Keys are fetched anew after five minutes, in the background, and when a token names one that is not known, at most
    every ten seconds. While the provider is away they are used for up to an hour.
    """

    def __init__(self, url: str) -> None:
        """
        Raises:
            ConfigurationError: whoever is on the way there could send other keys.
        """
        parsed = httpx.URL(url)
        if parsed.scheme != "https" and not (parsed.scheme == "http" and _is_loopback(parsed.host)):
            raise ConfigurationError("CALLBOARD_OIDC_JWKS_URL must be an https URL (or http on loopback).")
        self._url = parsed
        self._keys: Mapping[str | None, PyJWK] = {}
        self._fetched_at = -_OLDEST
        self._tried_at = -_BETWEEN_FETCHES
        self._fetch: asyncio.Task[None] | None = None

    async def key(self, kid: str | None) -> PyJWK | None:
        """Return the key of that id (None: the only one there is), or None if the provider has no such key.

        Raises:
            Unavailable: the provider did not answer, and nothing recent is known of its keys.
        """
        now = time.monotonic()
        is_old = now - self._fetched_at > _RENEW_AFTER
        if now - self._fetched_at > _OLDEST:
            await self._renew()
            if time.monotonic() - self._fetched_at > _OLDEST:
                raise Unavailable("The identity provider's keys could not be fetched.")
        elif kid not in self._keys:
            await self._renew()
        elif is_old:
            self._start()
        return self._keys.get(kid)

    def close(self) -> None:
        """Stop fetching. Called in the loop."""
        if self._fetch is not None:
            self._fetch.cancel()

    async def _renew(self) -> None:
        if (fetch := self._start()) is not None:
            await asyncio.shield(fetch)

    def _start(self) -> asyncio.Task[None] | None:
        """Return the fetch that is under way, or a new one; None if the last one was too short a time ago."""
        if self._fetch is None and time.monotonic() - self._tried_at >= _BETWEEN_FETCHES:
            self._tried_at = time.monotonic()
            self._fetch = asyncio.create_task(self._update())
        return self._fetch

    async def _update(self) -> None:
        try:
            document = await asyncio.to_thread(_get, self._url)
            self._keys = _usable(document)
            self._fetched_at = time.monotonic()
        except (httpx.HTTPError, ValueError) as error:
            _log.warning("the identity provider's keys could not be fetched", reason=str(error) or type(error).__name__)
        finally:
            self._fetch = None


def _get(url: httpx.URL) -> Any:
    """Return the JSON document.

    Raises:
        httpx.HTTPError: no answer, or an error.
        ValueError: it is not JSON, or too large, or came too slowly.
    """
    give_up_at = time.monotonic() + _LONGEST_FETCH
    # Neither redirects nor a proxy nor credentials of the environment.
    with (
        httpx.Client(timeout=_LONGEST_FETCH, trust_env=False) as client,
        client.stream("GET", url, headers={"Accept": "application/json"}) as answer,
    ):
        if answer.status_code != httpx.codes.OK:
            raise ValueError(f"the answer was {answer.status_code}")
        content = bytearray()
        for chunk in answer.iter_bytes():
            content += chunk
            if len(content) > _MOST_BYTES:
                raise ValueError(f"the key set has more than {_MOST_BYTES} bytes")
            if time.monotonic() > give_up_at:
                raise ValueError(f"the key set took longer than {_LONGEST_FETCH:g} seconds")
    return orjson.loads(content)


def _usable(document: Any) -> Mapping[str | None, PyJWK]:
    """Return the signing keys of our algorithms, by id; the only one also under None.

    Raises:
        ValueError: this is no key set.
    """
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ValueError("the answer is not a JSON Web Key Set")  # noqa: TRY004 - of what came, not of an argument
    keys: dict[str | None, PyJWK] = {}
    found = [key for item in document["keys"][:_MOST_KEYS] if (key := _key(item)) is not None]
    for key in found:
        if key.key_id is not None:
            keys[key.key_id] = key
    if len(found) == 1:
        keys[None] = found[0]
    return keys


def _key(item: Any) -> PyJWK | None:
    if not isinstance(item, dict) or item.get("use", "sig") != "sig":
        return None
    algorithm = _ALGORITHMS.get((str(item.get("kty")), str(item["crv"]) if "crv" in item else None))
    if algorithm is None or item.get("alg", algorithm) != algorithm:
        return None
    try:
        key = PyJWK(item, algorithm)
    except (PyJWTError, ValueError, TypeError):
        return None
    if algorithm == "RS256" and key.key.key_size < _LEAST_RSA_BITS:
        return None
    return key


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
