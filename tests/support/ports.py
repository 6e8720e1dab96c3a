"""Ports for servers that a test starts, stops and starts again."""

from __future__ import annotations

import os
import random
import socket

# Below the ports that Linux gives to clients. A port from among those may, while its server is down, become the near
# end of anybody's connection; even of the one that looks for the server, which then talks to itself.
_LOWEST, _HIGHEST = 10_000, 32_000

_random = random.Random(os.urandom(8))
_given: set[int] = set()


def free_port() -> int:
    """Return a port of the loopback interface where nobody listens, another one each time."""
    while True:
        port = _random.randrange(_LOWEST, _HIGHEST)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
