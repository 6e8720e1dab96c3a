"""What both transports do alike with httpx."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from ipaddress import ip_address
from typing import Any, Final

import httpx

from callboard.client.calls import Answer, Call
from callboard.client.errors import ServerUnreachable
from callboard.db.errors import ConfigurationError

_CONNECT_TIMEOUT: Final = 5.0


def base_of(url: str) -> httpx.URL:
    """Return the address of a server.

    Raises:
        ConfigurationError: it is not an http or https URL.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        # The value may hold a password, so it is not repeated.
        raise ConfigurationError("The URL is not that of a server. It looks like http://127.0.0.1:8000.")
    return parsed


def options_of(base: httpx.URL, api_key: str | None) -> dict[str, Any]:
    """Return the arguments of an httpx client."""
    headers = {"User-Agent": f"callboard/{version('callboard')}", "Accept": "application/json"}
    if api_key is not None:
        headers["Authorization"] = f"Bearer {api_key}"
    # A proxy cannot reach this machine's own loopback.
    return {"base_url": base, "headers": headers, "trust_env": not _is_loopback(base.host)}


def arguments_of(call: Call, timeout: float) -> dict[str, Any]:
    """Return the arguments of an httpx request. ``timeout``: seconds of silence, beyond what the call waits for."""
    upload = call.upload
    return {
        "method": call.method,
        "url": call.path,
        "params": call.params,
        "headers": call.headers,
        "content": call.content,
        "files": upload and {"file": (upload.name, upload.content, upload.media_type)},
        "timeout": httpx.Timeout(timeout + call.wait, connect=_CONNECT_TIMEOUT),
    }


def answer_of(response: httpx.Response, content: bytes) -> Answer:
    """Return a response as the operations read it."""
    return Answer(response.status_code, _lower(response.headers), content)


def address_of(base: httpx.URL) -> str:
    """Return the server's address, without a password."""
    return str(base.copy_with(userinfo=b"")).rstrip("/")


@contextmanager
def unreachable(address: str) -> Iterator[None]:
    """Raise httpx's errors as ours.

    Raises:
        ServerUnreachable: no answer came.
    """
    try:
        yield
    except httpx.RequestError as error:
        sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        cause = "timed out" if isinstance(error, httpx.TimeoutException) else str(error) or type(error).__name__
        what = "did not answer to the end" if sent else "does not answer"
        raise ServerUnreachable(f"The server at {address} {what} ({cause}).", sent=sent) from error


def _lower(headers: httpx.Headers) -> Mapping[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
