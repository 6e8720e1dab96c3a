from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from callboard.embedded.postgres import EmbeddedPostgres


@pytest.fixture
def make_server() -> Iterator[Callable[..., EmbeddedPostgres]]:
    """Make servers that are stopped when the test ends."""
    with ExitStack() as stack:

        def make(data_dir: Path, **options: object) -> EmbeddedPostgres:
            server = EmbeddedPostgres(data_dir, durable=False, **options)  # type: ignore[arg-type]
            stack.callback(server.stop)
            return server

        yield make


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A directory that every user reaches; pytest's own are closed."""
    directory = Path(tempfile.mkdtemp(prefix="callboard-open-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)
