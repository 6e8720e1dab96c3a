"""A whole system, as its users run it, for the clients to speak to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.stage import Stage
from tests.e2e.system import Embedded
from tests.support.ports import free_port


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(180))  # the first of them starts a system
            item.add_marker(pytest.mark.xdist_group("clients"))  # that all of them share


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """``callboard up`` with the job types of ``tests/e2e/modules`` and of the application in ``shop.py``."""
    stage = Stage(tmp_path_factory.mktemp("clients"), [])
    with stage.stack:
        system = stage.put_up(Embedded, job_modules="e2e_jobs,tests.clients.shop")
        system.start_up()
        yield system


@pytest.fixture
def url(system: Embedded) -> str:
    return f"http://127.0.0.1:{system.port}"


@pytest.fixture(scope="session")
def shop(system: Embedded) -> Iterator[httpx.Client]:
    """The application in ``shop.py``, served."""
    port = free_port()
    arguments = ("--port", str(port), "--no-access-log")
    process = system.start(
        "shop", "uvicorn", "tests.clients.shop:app", *arguments, url=f"http://127.0.0.1:{system.port}"
    )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        while True:
            try:
                client.get("/openapi.json")
                break
            except httpx.ConnectError:
                assert process.running, process.log()
                time.sleep(0.05)
        yield client
