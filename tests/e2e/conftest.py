"""Whole systems for tests. Those that take a shared one leave it without a live job."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.stage import Stage
from tests.e2e.system import Distributed, Embedded, System
from tests.services.rabbitmq import RabbitmqServer, fresh_vhost
from tests.support.databases import Databases
from tests.support.servers import ALL

_RUNNING = pytest.StashKey[list[System]]()
_STANDING_WORKER = "standing-worker"


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(180))  # the first of them starts servers
            if (group := _shared_system(item)) is not None:
                item.add_marker(pytest.mark.xdist_group(group))


def _shared_system(item: pytest.Function) -> str | None:
    """Return what those tests have in common that are to share a system, which takes ten seconds to start."""
    shape = item.callspec.params.get("system") if hasattr(item, "callspec") else None
    if "embedded" in item.fixturenames or shape == "embedded":
        return "e2e embedded"
    return "e2e control" if "control" in item.fixturenames or shape == "rabbitmq" else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for system in item.config.stash.get(_RUNNING, []):
            report.sections.append((f"processes of {system.directory.name}", system.logs()))
    return report


@contextmanager
def _stage(directory: Path, config: pytest.Config) -> Iterator[Stage]:
    stage = Stage(directory, config.stash.setdefault(_RUNNING, []))
    with stage.stack:
        yield stage


@pytest.fixture
def stage(tmp_path: Path, pytestconfig: pytest.Config) -> Iterator[Stage]:
    """For systems of one test alone."""
    with _stage(tmp_path, pytestconfig) as stage:
        yield stage


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Embedded]:
    """``callboard up`` as it is without any setting about where things are."""
    with _stage(tmp_path_factory.mktemp("embedded"), pytestconfig) as stage:
        system = stage.put_up(Embedded)
        system.start_up()
        yield system


@pytest.fixture(scope="session")
def control(
    tmp_path_factory: pytest.TempPathFactory,
    pytestconfig: pytest.Config,
    rabbitmq_server: RabbitmqServer,
    databases: Databases,
) -> Iterator[Distributed]:
    """Api and dispatcher on PostgreSQL (the oldest that is supported) and RabbitMQ."""
    with (
        databases.fresh(ALL[0]) as database_url,
        fresh_vhost(rabbitmq_server) as amqp_url,
        _stage(tmp_path_factory.mktemp("distributed"), pytestconfig) as stage,
    ):
        system = stage.put_up(Distributed, database_url=database_url, amqp_url=amqp_url)
        system.start_control()
        yield system


@pytest.fixture(params=["embedded", "rabbitmq"])
def system(request: pytest.FixtureRequest) -> System:
    """A shared system with workers, in both shapes."""
    if request.param == "embedded":
        embedded: Embedded = request.getfixturevalue("embedded")
        return embedded
    control: Distributed = request.getfixturevalue("control")
    if _STANDING_WORKER not in control.processes:
        control.start_worker("--threads", "4", name=_STANDING_WORKER)
        control.wait_for_rows("SELECT 1 FROM workers WHERE state = 'running'", timeout=90)
    return control


@pytest.fixture
def workerless(control: Distributed) -> Iterator[Distributed]:
    """``control`` without a job and without a worker; the test starts its own, which are stopped after it."""
    control.stop_workers()
    control.empty()
    yield control
    control.stop_workers()
    control.empty()
