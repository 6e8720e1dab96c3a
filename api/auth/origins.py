"""Where a request comes from: rules for callers that the request itself does not have to name.

A key in a header shows that somebody meant this request. On an open server, and with a cookie, nothing does: any page
in the user's browser can send requests there, and any proxy those of strangers. The rules below tell them apart.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Final

from callboard.api.auth.loopback import is_loopback
from callboard.api.errors import Forbidden, MisdirectedRequest

RawHeaders = Sequence[tuple[bytes, bytes]]
"""Headers as ASGI has them, with names in lower case. They are looked at for each request, and decoded for few."""

_WAY_OUT: Final = "Make a key with 'callboard keys create': with one, requests are accepted from everywhere."

#: A host and maybe a port (RFC 9110, section 7.2). An IPv6 address is in brackets.
_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+))(?::\d{0,5})?")
_FORWARDED: Final = frozenset({b"forwarded", b"via", b"x-real-ip"})
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_FOREIGN: Final = frozenset({b"cross-site", b"same-site"})


def require_no_proxy(headers: RawHeaders) -> None:
    """Require that no proxy says that it has forwarded the request: it may be of another machine.

    Raises:
        Forbidden: a header says so.
    """
    for name, value in headers:
        if name in _FORWARDED or name.startswith(b"x-forwarded-"):
            raise Forbidden(
                "No API key has been made, so this server is open to this machine alone, and "
                f"{_shown(name)}: {_shown(value)} says that a proxy forwards the request. {_WAY_OUT}"
            )


def require_loopback_host(headers: RawHeaders) -> None:
    """Require that the request names this machine: ``localhost``, ``127.0.0.0/8`` or ``[::1]``, with any port.

    A page whose name is made to resolve to this machine (DNS rebinding) is of the same origin for the browser, but its
    name stays in the Host header.

    Raises:
        MisdirectedRequest: it names another host, several, or none.
    """
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) != 1 or not _is_loopback_host(hosts[0]):
        raise MisdirectedRequest(
            "No API key has been made, so this server answers as localhost, 127.0.0.1 and [::1] only, not as Host: "
            f"{', '.join(map(_shown, hosts))}. {_WAY_OUT}"
        )


def require_own_origin(method: str, scheme: str, headers: RawHeaders, *, trusted: Collection[str]) -> None:
    """Require that no page of another origin has sent the request.

    Browsers name the origin of all requests that change something, and of those whose response a page can read. Links
    of other pages may be followed.

    Args:
        method: of the request.
        scheme: of the request, ``http`` or ``https``.
        headers: of the request.
        trusted: other origins whose pages may send it. ``*`` is no origin.

    Raises:
        Forbidden: a page of another origin has sent it.
    """
    given = dict(headers)
    origin = given.get(b"origin")
    if origin is not None:
        own = b"%b://%b" % (scheme.encode(), given.get(b"host", b"").lower())
        if origin != own and origin.decode("latin-1") not in trusted:
            raise _foreign("Origin", origin)
        return
    site = given.get(b"sec-fetch-site")
    if site in _FOREIGN and not (method in _SAFE and given.get(b"sec-fetch-mode") == b"navigate"):
        raise _foreign("Sec-Fetch-Site", site)


@lru_cache(maxsize=64)
def _is_loopback_host(host: bytes) -> bool:
    match = _HOST.fullmatch(host.decode("latin-1"))
    if match is None:
        return False
    name = (match[1] or match[2]).lower()
    return name == "localhost" or is_loopback(name)


def _foreign(name: str, value: bytes) -> Forbidden:
    return Forbidden(
        f"A web page of another origin has sent this request ({name}: {_shown(value)}), and no API key has been made. "
        f"{_WAY_OUT} Or name the page's origin in CALLBOARD_CORS_ORIGINS; '*' does not name it."
    )


def _shown(value: bytes) -> str:
    return value[:100].decode("latin-1")
