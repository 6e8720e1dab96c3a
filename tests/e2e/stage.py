"""Where systems are put up, and taken down whatever happens."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from tests.e2e.system import System

Kind = TypeVar("Kind", bound=System)


class Stage:
    """Where systems are put up; closed, it takes them down."""

    def __init__(self, directory: Path, running: list[System]) -> None:
        self._directory = directory
        self._running = running
        self.stack = ExitStack()

    def put_up(self, kind: type[Kind], **settings: str) -> Kind:
        """Return a system of which nothing runs yet."""
        directory = self._directory / f"{kind.__name__.lower()}-{secrets.token_hex(4)}"
        return self.stack.enter_context(self._listed(kind(directory, **settings)))

    @contextmanager
    def _listed(self, system: Kind) -> Iterator[Kind]:
        self._running.append(system)
        try:
            with system:
                yield system
        finally:
            self._running.remove(system)
