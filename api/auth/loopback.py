"""IP addresses of this machine's loopback interface."""

from __future__ import annotations

import ipaddress
from functools import lru_cache


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Return whether ``host`` is a loopback address; False for names."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
