"""A whole system, as its users run it, for the clients to speak to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stage import Stage
from tests.e2e.system import Embedded


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(180))  # the first of them starts a system


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """``callboard up`` with the job types of ``tests/e2e/modules``."""
    stage = Stage(tmp_path_factory.mktemp("clients"), [])
    with stage.stack:
        system = stage.put_up(Embedded)
        system.start_up()
        yield system


@pytest.fixture
def url(system: Embedded) -> str:
    return f"http://127.0.0.1:{system.port}"
