"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import psycopg

from bench.peer_drain import PYTHON
from bench.peer_list import PEERS
from bench.services import Services

_PACKAGES = ("callboard", "dramatiq", "pika", "psycopg", "sqlalchemy", "fastapi", "uvicorn", "uvloop", "httptools")


def describe(services: Services) -> dict[str, str]:
    """Return processor, memory and versions by name."""
    with psycopg.connect(services.postgres_url) as connection:
        settings: dict[str, str] = dict(
            connection.execute(
                "SELECT name, setting || coalesce(unit, '') FROM pg_settings WHERE name IN "
                "('server_version', 'fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers')"
            ).fetchall()
        )
    server = settings.pop("server_version")
    rabbitmq = services.rabbitmq.evaluate("rabbit_misc:version()").strip('"')
    return {
        "processor": f"{os.cpu_count()} × {_field('/proc/cpuinfo', 'model name')}",
        "memory": f"{int(_field('/proc/meminfo', 'MemTotal').split()[0]) // 2**20} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "PostgreSQL": f"{server} ({', '.join(f'{name}={value}' for name, value in sorted(settings.items()))})",
        "RabbitMQ": f"{rabbitmq} (classic queues, persistent messages)",
        "packages": ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "peers": _peers(),
    }


def load_average() -> float:
    """Return how many processes wanted to run in the last minute; before a run, hardly any should."""
    return os.getloadavg()[0]


def _peers() -> str:
    names = dict.fromkeys(package for peer in PEERS for package in peer.packages)
    # As they are installed in their own environment; without it, nothing of them is measured.
    asking = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    if not PYTHON.exists():
        return "not installed"
    found = subprocess.run([PYTHON, "-c", asking, *names], capture_output=True, text=True, check=True).stdout.split()
    return ", ".join(f"{name} {number}" for name, number in zip(names, found, strict=True))


def _field(path: str, name: str) -> str:
    found = re.search(rf"^{name}\s*:\s*(.*)$", Path(path).read_text(), re.MULTILINE)
    return found[1] if found else "unknown"
