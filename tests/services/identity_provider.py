"""An OpenID Connect provider of the tests' own: a key set on a free port, and tokens signed with its keys."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER: Final = "https://id.example"
AUDIENCE: Final = "callboard"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def new_key(algorithm: str) -> PrivateKey:
    match algorithm:
        case "RS256":
            return rsa.generate_private_key(65537, 2048)
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


def public_jwk(key: PrivateKey, kid: str, **members: Any) -> dict[str, Any]:
    match key:
        case rsa.RSAPrivateKey():
            jwk = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case ec.EllipticCurvePrivateKey():
            jwk = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case _:
            jwk = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**{name: value for name, value in jwk.items() if name != "key_ops"}, "kid": kid, **members}


class IdentityProvider:
    """Publishes ``document``; counts how often it was fetched."""

    def __init__(self) -> None:
        self.keys: dict[str, PrivateKey] = {}
        self.document: Any = {"keys": []}
        self.status = 200
        self.fetched = 0
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.fetched += 1
                content = json.dumps(provider.document).encode()
                self.send_response(provider.status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_request(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def settings(self) -> dict[str, str]:
        url = f"http://127.0.0.1:{self._server.server_port}/jwks"
        return {"oidc_jwks_url": url, "oidc_issuer": ISSUER, "oidc_audience": AUDIENCE}

    def add(self, kid: str, algorithm: str = "ES256", **members: Any) -> None:
        """Publish one more key."""
        key = self.keys[kid] = new_key(algorithm)
        self.document["keys"].append(public_jwk(key, kid, **members))

    def token(self, kid: str, algorithm: str = "ES256", *, headers: Any = None, **claims: Any) -> str:
        """Sign a token that is valid but for what ``claims`` change; a claim that is None is left out."""
        now = int(time.time())
        given = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": now + 300, "iat": now, "role": "client", **claims,
        }  # fmt: skip
        present = {name: value for name, value in given.items() if value is not None}
        return jwt.encode(present, self.keys[kid], algorithm, headers={"kid": kid} if headers is None else headers)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def identity_provider() -> Iterator[IdentityProvider]:
    """Run a provider until the end of the block."""
    provider = IdentityProvider()
    try:
        yield provider
    finally:
        provider.close()
