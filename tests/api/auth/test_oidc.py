"""Tokens of an OpenID Connect provider."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from callboard.actors.types.registry import Registry
from callboard.api.app import create_app
from callboard.api.auth.jwks import Jwks
from callboard.api.authenticator import Authenticator
from callboard.db.errors import ConfigurationError, Unavailable
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from tests.services.identity_provider import IdentityProvider, identity_provider, new_key, public_jwk
from tests.support.keys import bearer, make_key
from tests.support.serving import serving

AsProblem = Callable[[httpx.Response, int, str], dict[str, Any]]


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with identity_provider() as provider:
        provider.add("one")
        yield provider


@pytest.fixture
def serve_with(settings: Settings, registry: Registry, tmp_path: Path) -> Iterator[Callable[..., httpx.Client]]:
    with ExitStack() as stack:

        def serve_with(**changes: Any) -> httpx.Client:
            changed = settings.model_copy(update={"files_url": (tmp_path / "files").as_uri(), **changes})
            app = create_app(changed, registry, authenticate=Authenticator(local=True))
            return stack.enter_context(serving(app)).client

        yield serve_with


@pytest.fixture
def client(serve_with: Callable[..., httpx.Client], provider: IdentityProvider) -> httpx.Client:
    return serve_with(**provider.settings)


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def status(client: httpx.Client, token: str, path: str = "/v1/jobs") -> int:
    return client.get(path, headers=bearer(token)).status_code


def test_the_subject_is_the_owner_and_the_claim_the_role(
    client: httpx.Client, provider: IdentityProvider, as_problem: AsProblem
) -> None:
    token = provider.token("one", sub="carol@id.example")

    answer = client.post("/v1/jobs", json={"type": "test.job", "payload": {}}, headers=bearer(token))

    assert answer.json()["owner"] == "oidc:carol@id.example"
    as_problem(client.get("/v1/workers", headers=bearer(token)), 403, "forbidden")
    assert status(client, provider.token("one", role="viewer"), "/v1/workers") == 200
    assert status(client, provider.token("one", role=["staff", "operator", "client"]), "/v1/workers") == 200


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_these_algorithms_are_known(client: httpx.Client, provider: IdentityProvider, algorithm: str) -> None:
    provider.document["keys"].clear()
    provider.add("it", algorithm)

    assert status(client, provider.token("it", algorithm)) == 200


def test_with_a_provider_the_server_is_not_open(client: httpx.Client, as_problem: AsProblem) -> None:
    as_problem(client.get("/v1/jobs"), 401, "unauthenticated")


def test_keys_go_on_working_beside_tokens(client: httpx.Client, database: Database) -> None:
    assert status(client, make_key(database)) == 200


NOW = time.time()


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": int(NOW) - 60},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": int(NOW) + 3600},
        {"iss": "https://other.example"},
        {"iss": None},
        {"aud": "other"},
        {"aud": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "a\u0000b"},
        {"sub": "x" * 256},
    ],
    # Named without the times, which differ between the processes that run the tests.
    ids=lambda claims: (
        "-".join(f"{name} {value}"[:20] for name, value in claims.items() if value != int(NOW))[:30]
        if not any(isinstance(value, int) for value in claims.values())
        else "-".join(claims)
    ),
)
def test_claims_that_do_not_fit_are_refused(
    client: httpx.Client, provider: IdentityProvider, as_problem: AsProblem, claims: dict[str, Any]
) -> None:
    token = provider.token("one", **claims)

    answer = client.get("/v1/jobs", headers=bearer(token))

    as_problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert token not in answer.text


def test_clocks_may_differ_a_little(client: httpx.Client, provider: IdentityProvider) -> None:
    assert status(client, provider.token("one", exp=int(time.time()) - 10)) == 200


@pytest.mark.parametrize("role", [None, "root", "", [], {"client": True}, ["Admin"], 1])
def test_a_token_without_a_role_may_nothing(
    client: httpx.Client, provider: IdentityProvider, as_problem: AsProblem, role: Any
) -> None:
    as_problem(client.get("/v1/jobs", headers=bearer(provider.token("one", role=role))), 403, "forbidden")


def test_the_claim_can_have_another_name(serve_with: Callable[..., httpx.Client], provider: IdentityProvider) -> None:
    client = serve_with(**provider.settings, oidc_role_claim="https://callboard/role")

    claims: dict[str, Any] = {"https://callboard/role": "admin", "role": None}

    assert status(client, provider.token("one", **claims)) == 200
    assert status(client, provider.token("one")) == 403


def encoded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_unsigned_and_symmetric_tokens_are_refused(client: httpx.Client, provider: IdentityProvider) -> None:
    _, claims, signature = provider.token("one").split(".")
    public = provider.keys["one"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for algorithm in ("none", "None", "NONE", ""):
        head = encoded({"alg": algorithm, "kid": "one"})
        assert status(client, f"{head}.{claims}.") == 401
        assert status(client, f"{head}.{claims}.{signature}") == 401
    for secret in (public, json.dumps(provider.document["keys"][0]).encode(), b""):
        signed = f"{encoded({'alg': 'HS256', 'kid': 'one'})}.{claims}"
        forged = encoded(hmac.new(secret, signed.encode(), hashlib.sha256).digest())
        assert status(client, f"{signed}.{forged}") == 401


def test_a_key_of_somebody_else_does_not_sign(client: httpx.Client, provider: IdentityProvider) -> None:
    provider.keys["one"] = new_key("ES256")

    assert status(client, provider.token("one")) == 401
    # A key that the token brings along is not even looked at.
    jwk = public_jwk(provider.keys["one"], "one")
    assert status(client, provider.token("one", headers={"kid": "one", "jwk": jwk})) == 401


@pytest.mark.parametrize("token", ["x", "a.b.c", "..", "e30.e30.", "x" * 20_000, encoded({"alg": "ES256"}) + ".e30.AA"])
def test_what_is_no_token_is_refused(client: httpx.Client, token: str) -> None:
    assert status(client, token) == 401


def test_changed_tokens_are_refused(client: httpx.Client, provider: IdentityProvider) -> None:
    head, claims, signature = provider.token("one").split(".")
    admin = encoded({**json.loads(base64.urlsafe_b64decode(claims + "==")), "role": "admin"})

    assert status(client, f"{head}.{admin}.{signature}") == 401


def test_keys_are_fetched_once_however_many_tokens_come(client: httpx.Client, provider: IdentityProvider) -> None:
    for _ in range(5):
        assert status(client, provider.token("one")) == 200
    provider.add("two")
    for number in range(20):
        assert status(client, provider.token("two", headers={"kid": f"guess{number}"})) == 401
    assert status(client, provider.token("two")) == 401  # within ten seconds of the last fetch

    assert provider.fetched == 1


def test_an_unknown_key_is_fetched_ten_seconds_after_the_last_fetch(provider: IdentityProvider) -> None:
    clock = Clock()
    jwks = Jwks(provider.settings["oidc_jwks_url"], clock=clock)

    async def known(kid: str) -> bool:
        return await jwks.key(kid) is not None

    async def ask() -> None:
        assert await known("one")
        provider.add("two")
        clock.now += 9.9
        assert not await known("two")
        clock.now += 0.1
        assert await known("two")
        clock.now += 9.9
        assert not await known("guess")

    asyncio.run(ask())
    assert provider.fetched == 2


def test_a_token_that_names_no_key_is_signed_with_the_only_one(
    client: httpx.Client, provider: IdentityProvider
) -> None:
    assert status(client, provider.token("one", headers={})) == 200


def test_keys_for_something_else_are_left_alone(client: httpx.Client, provider: IdentityProvider) -> None:
    provider.add("encrypts", use="enc")
    provider.add("other", alg="ES384")
    provider.document["keys"] += [{"kty": "oct", "kid": "shared", "k": "c2VjcmV0"}, {"kty": "EC"}, 1, {"kty": []}]

    assert status(client, provider.token("one")) == 200
    assert status(client, provider.token("encrypts")) == 401
    assert status(client, provider.token("other")) == 401


@pytest.mark.parametrize("document", [[], {"keys": 1}, "x", {"keys": [], "filler": "x" * 2**21}], ids=[*"abc", "big"])
def test_a_provider_that_answers_nonsense_is_unavailable(
    client: httpx.Client, provider: IdentityProvider, as_problem: AsProblem, document: Any
) -> None:
    token = provider.token("one")
    provider.document = document

    as_problem(client.get("/v1/jobs", headers=bearer(token)), 503, "unavailable")


def test_while_the_provider_is_away_its_keys_are_used_for_an_hour(provider: IdentityProvider) -> None:
    clock = Clock()
    jwks = Jwks(provider.settings["oidc_jwks_url"], clock=clock)

    async def ask() -> None:
        assert await jwks.key("one") is not None
        provider.status = 500
        clock.now += 3600
        # In the background: no request waits for a provider that is away.
        assert await jwks.key("one") is not None
        clock.now += 1
        with pytest.raises(Unavailable):
            await jwks.key("one")

    asyncio.run(ask())
    assert provider.fetched == 2


@pytest.mark.parametrize("keys", [[], [{"kty": "oct", "kid": "one", "k": "c2VjcmV0"}], [1]], ids=["none", "oct", "odd"])
def test_an_answer_without_a_usable_key_keeps_the_good_ones(provider: IdentityProvider, keys: list[Any]) -> None:
    clock = Clock()
    jwks = Jwks(provider.settings["oidc_jwks_url"], clock=clock)

    async def ask() -> None:
        assert await jwks.key("one") is not None
        provider.document["keys"] = keys
        clock.now += 3600
        assert await jwks.key("guess") is None
        assert await jwks.key("one") is not None
        clock.now += 1
        with pytest.raises(Unavailable):
            await jwks.key("one")

    asyncio.run(ask())
    assert provider.fetched == 2


def test_a_subject_is_nobody_s_owner_but_its_own(
    serve_with: Callable[..., httpx.Client], provider: IdentityProvider, database: Database
) -> None:
    client = serve_with(**provider.settings)
    key, token = bearer(make_key(database, "ann")), bearer(provider.token("one", sub="ann"))
    job = client.post("/v1/jobs", json={"type": "test.job", "payload": {}}, headers=key).json()

    assert client.get(job["links"]["self"], headers=token).status_code == 404
    assert client.get("/v1/jobs", headers=token).json()["items"] == []
    assert client.get(job["links"]["self"], headers=key).status_code == 200
    other = serve_with(**provider.settings, oidc_owner_prefix="https://id.example#")
    answer = other.post("/v1/jobs", json={"type": "test.job", "payload": {}}, headers=token)
    assert answer.json()["owner"] == "https://id.example#ann"


def test_keys_are_fetched_anew_in_the_background(provider: IdentityProvider) -> None:
    clock = Clock()
    jwks = Jwks(provider.settings["oidc_jwks_url"], clock=clock)

    async def ask() -> None:
        assert await jwks.key("one") is not None
        provider.document["keys"] = [public_jwk(new_key("ES256"), "other")]
        clock.now += 301
        assert await jwks.key("one") is not None
        while await jwks.key("one") is not None:  # noqa: ASYNC110 - only the key set shows that the fetch has ended
            await asyncio.sleep(0.01)

    asyncio.run(ask())
    assert provider.fetched == 2


@pytest.mark.parametrize("url", ["http://id.example/jwks", "file:///etc/passwd", "https", "ftp://127.0.0.1/"])
def test_keys_come_over_a_safe_way_only(settings: Settings, registry: Registry, url: str) -> None:
    unsafe = settings.model_copy(update={"oidc_jwks_url": url, "oidc_issuer": "i", "oidc_audience": "a"})

    with pytest.raises(ConfigurationError, match="CALLBOARD_OIDC_JWKS_URL"):
        create_app(unsafe, registry)
