"""A whole Callboard as clients meet it: api, dispatcher and workers in processes of their own, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from callboard.db.schema.migrate import migrate
from callboard.db.sql.engine import Database
from tests.contract.callboard import Callboard, Client, make_keys
from tests.e2e.system import Embedded
from tests.support.databases import Databases, settings_of
from tests.support.servers import ALL

_RUNNING = pytest.StashKey[Callboard]()


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(180))  # the first of them starts servers
            # Those that share a Callboard.
            item.add_marker(
                pytest.mark.xdist_group("contract" if "callboard" in item.fixturenames else "specification")
            )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and (running := item.config.stash.get(_RUNNING, None)) is not None:
        report.sections.append(("processes", running.system.logs()))
    return report


@contextmanager
def running(directory: Path, config: pytest.Config, databases: Databases, **settings: str) -> Iterator[Callboard]:
    """Run a Callboard on a database of its own, with a key for everybody."""
    with databases.fresh(ALL[-1]) as database_url:
        fresh = settings_of(database_url)
        migrate(fresh)
        database = Database(fresh, role="test")
        try:
            keys = make_keys(database)
        finally:
            database.close()
        with Embedded(directory / "system", database_url=database_url, **settings) as system:
            system.start_up(threads=4)
            config.stash[_RUNNING] = made = Callboard(system, keys)
            try:
                yield made
            finally:
                if config.stash.get(_RUNNING, None) is made:
                    del config.stash[_RUNNING]
                made.close()


@pytest.fixture(scope="session")
def callboard(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config, databases: Databases
) -> Iterator[Callboard]:
    """One Callboard for all tests, which do not mind each other's jobs."""
    with running(tmp_path_factory.mktemp("contract"), pytestconfig, databases) as made:
        yield made


@pytest.fixture(scope="module")
def impatient(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config, databases: Databases
) -> Iterator[Callboard]:
    """One where no request waits long for a job."""
    with running(tmp_path_factory.mktemp("contract"), pytestconfig, databases, max_wait="0.2") as made:
        yield made


@pytest.fixture
def ann(callboard: Callboard) -> Client:
    """A client; owns what it submits."""
    return callboard.client("ann")


@pytest.fixture
def ben(callboard: Callboard) -> Client:
    """Another client, of another owner."""
    return callboard.client("ben")


@pytest.fixture
def vera(callboard: Callboard) -> Client:
    """A viewer."""
    return callboard.client("vera")


@pytest.fixture
def olga(callboard: Callboard) -> Client:
    """An operator."""
    return callboard.client("olga")


@pytest.fixture
def adam(callboard: Callboard) -> Client:
    """An admin."""
    return callboard.client("adam")


@pytest.fixture
def nobody(callboard: Callboard) -> Client:
    """Without credentials."""
    return callboard.client("")
