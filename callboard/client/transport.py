"""What the two transports have in common: the use of httpx."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any, Final

import httpx

from callboard.client.errors import ServerUnreachable
from callboard.client.files import Sink
from callboard.client.messages import Request, Response
from callboard.db.errors import ConfigurationError
from callboard.db.version import VERSION

_CONNECT_TIMEOUT: Final = 5.0


def base_of(url: str) -> httpx.URL:
    """Return the URL of a server.

    Raises:
        ConfigurationError: ``url`` is not an http or https URL, or is that of something on the server.
    """
    try:
        parsed = httpx.URL(url.strip())
        # A name with an empty or too long label would fail as late as the first request.
        parsed.host.encode("idna")
    except (httpx.InvalidURL, UnicodeError):
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        # The value may hold a password, so the message does not repeat it.
        raise ConfigurationError("The URL is not that of a server. It looks like http://127.0.0.1:8000.")
    if parsed.query or parsed.fragment:
        raise ConfigurationError(
            "The URL of the server has a part after '?' or '#'. It ends before that, as in http://127.0.0.1:8000."
        )
    if parsed.path.rstrip("/").endswith("/v1"):
        raise ConfigurationError("The URL of the server ends with /v1, which the client adds itself. Leave it out.")
    return parsed


def options_of(base: httpx.URL, api_key: str | None) -> dict[str, Any]:
    """Return the arguments of an httpx client.

    Raises:
        ConfigurationError: ``api_key`` cannot be sent in a header.
    """
    headers = {"User-Agent": f"callboard/{VERSION}", "Accept": "application/json"}
    if api_key is not None:
        if not (api_key.isascii() and api_key.isprintable() and api_key == api_key.strip() != ""):
            # httpx would repeat the key in its error.
            raise ConfigurationError(
                "The API key holds a character that HTTP does not allow there, such as a line break, or a blank at "
                "an end. Copy the key anew."
            )
        headers["Authorization"] = f"Bearer {api_key}"
    # A proxy cannot reach this machine's own loopback.
    return {"base_url": base, "headers": headers, "trust_env": not _is_loopback(base.host)}


def arguments_of(request: Request, timeout: float) -> dict[str, Any]:
    """Return the arguments of an httpx request.

    Args:
        request: the request.
        timeout: seconds of silence after which the request fails, beyond the seconds that it lets the server wait.
    """
    upload = request.upload
    return {
        "method": request.method,
        "url": request.path,
        "params": request.params,
        "headers": request.headers,
        "content": request.content,
        "files": upload and {"file": (upload.name, upload.content, upload.media_type)},
        "timeout": httpx.Timeout(timeout + request.wait, connect=_CONNECT_TIMEOUT),
    }


def sink_for(request: Request, response: Response) -> Sink | None:
    """Return where to write the body of ``response``, of which only the head has arrived; None: into the response."""
    sink = request.sink
    return sink if sink is not None and response.is_success and sink.accepts(response.media_type) else None


def response_of(response: httpx.Response, address: str, content: bytes = b"") -> Response:
    """Return a response as the operations read it."""
    return Response(address, response.status_code, _lower(response.headers), content)


def address_of(base: httpx.URL) -> str:
    """Return the server's address, without a password."""
    return str(base.copy_with(userinfo=b"")).rstrip("/")


@contextmanager
def unreachable(address: str) -> Iterator[None]:
    """Translate the errors of httpx.

    Raises:
        ServerUnreachable: no response arrived.
    """
    try:
        yield
    except httpx.RequestError as error:
        sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        detail = (
            f"The server at {address} did not answer to the end ({_cause(error)})."
            if sent
            else f"No server answers at {address} ({_cause(error)})."
        )
        # The detail says all that the errors of two libraries, one in the other, would say.
        raise ServerUnreachable(detail, sent=sent) from None


def _cause(error: httpx.RequestError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "timed out"
    text = str(error) or type(error).__name__
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text:
        return "it does not speak TLS; should the URL begin with http:// instead of https://?"
    # "[Errno 111] Connection refused" reads better without the number.
    return text.partition("] ")[2] or text


def _lower(headers: httpx.Headers) -> Mapping[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
