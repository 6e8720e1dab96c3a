"""What is built, what it is installed into, and a user's folder beside it. All once, on one worker of pytest-xdist."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.packaging.builds import Builds
from tests.packaging.installed import Installed, Venv
from tests.services.rabbitmq import RabbitmqServer, fresh_vhost
from tests.support.databases import Databases
from tests.support.servers import ALL

_RUNNING = pytest.StashKey[list[Installed]]()


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(180))  # the first of them builds, and starts servers
            item.add_marker(pytest.mark.xdist_group("packaging"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for installed in item.config.stash.get(_RUNNING, []):
            report.sections.append(("processes", installed.logs()))
    return report


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Builds:
    return Builds.make(tmp_path_factory.mktemp("builds"))


@pytest.fixture(scope="session")
def venv(tmp_path_factory: pytest.TempPathFactory, builds: Builds) -> Venv:
    return Venv.make(tmp_path_factory.mktemp("installed") / "venv", builds.wheel_of_sdist)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config, venv: Venv) -> Iterator[Installed]:
    """A user's project, in which nothing runs yet."""
    with put_up(tmp_path_factory.mktemp("user") / "project", pytestconfig, venv) as installed:
        yield installed


@pytest.fixture(scope="module")
def up(installed: Installed) -> Installed:
    """The same with ``callboard up``, started as the README says."""
    installed.start_up()
    return installed


@pytest.fixture
def distributed(
    tmp_path: Path, pytestconfig: pytest.Config, venv: Venv, databases: Databases, rabbitmq_server: RabbitmqServer
) -> Iterator[Installed]:
    """Another project, with api and dispatcher on a PostgreSQL and a RabbitMQ."""
    with (
        databases.fresh(ALL[-1]) as database_url,
        fresh_vhost(rabbitmq_server) as amqp_url,
        put_up(tmp_path / "project", pytestconfig, venv, database_url=database_url, amqp_url=amqp_url) as installed,
    ):
        migrated = installed.run("callboard", "migrate")
        assert migrated.returncode == 0, migrated.stderr
        installed.start("dispatcher", "callboard", "dispatcher")
        installed.wait_until_ready(installed.start("api", "callboard", "api", "--port", str(installed.port)))
        yield installed


@contextmanager
def put_up(directory: Path, config: pytest.Config, venv: Venv, **settings: str) -> Iterator[Installed]:
    running = config.stash.setdefault(_RUNNING, [])
    with Installed(directory, venv, **settings) as installed:
        running.append(installed)
        try:
            yield installed
        finally:
            running.remove(installed)
