"""CORS: off, unless a setting names origins."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from callboard.db.errors import ConfigurationError
from callboard.db.settings import load_settings
from tests.support.serving import Served

ORIGIN = "https://console.example"
PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type, idempotency-key, prefer",
}


def allowed(answer: httpx.Response) -> str | None:
    origin: str | None = answer.headers.get("access-control-allow-origin")
    return origin


def test_it_is_off(client: httpx.Client) -> None:
    answer = client.get("/v1/jobs", headers={"Origin": ORIGIN})

    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert client.options("/v1/jobs", headers=PREFLIGHT).status_code == 405


def test_pages_of_an_origin_may_call(serve: Callable[..., Served]) -> None:
    client = serve(cors_origins=(ORIGIN,)).client

    preflight = client.options("/v1/jobs", headers=PREFLIGHT)
    assert (preflight.status_code, allowed(preflight)) == (200, ORIGIN)
    assert "access-control-allow-credentials" not in preflight.headers

    answer = client.post("/v1/jobs", json={"type": "test.job", "payload": {}}, headers={"Origin": ORIGIN})
    assert (answer.status_code, allowed(answer)) == (202, ORIGIN)
    shown = answer.headers["access-control-expose-headers"].lower().split(", ")
    assert {"etag", "location", "retry-after", "link", "x-request-id", "ratelimit", "ratelimit-policy"} <= set(shown)
    # Problems can be read too.
    assert allowed(client.get("/v1/nothing", headers={"Origin": ORIGIN})) == ORIGIN


def test_pages_of_other_origins_may_not(serve: Callable[..., Served]) -> None:
    client = serve(cors_origins=(ORIGIN,)).client

    assert client.options("/v1/jobs", headers={**PREFLIGHT, "Origin": "https://evil.example"}).status_code == 400
    assert allowed(client.get("/v1/jobs", headers={"Origin": "https://evil.example"})) is None


def test_origins_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_CORS_ORIGINS", f"{ORIGIN}, http://localhost:5173")
    assert load_settings().cors_origins == (ORIGIN, "http://localhost:5173")

    for wrong in ("console.example", f"{ORIGIN}/", "https://a b", "ftp://x"):
        monkeypatch.setenv("CALLBOARD_CORS_ORIGINS", wrong)
        with pytest.raises(ConfigurationError, match="CALLBOARD_CORS_ORIGINS"):
            load_settings()
