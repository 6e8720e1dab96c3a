"""What all tests may use. Nothing starts before a test asks for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

import certifi
import pytest
import structlog
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from tests.services.rabbitmq import RabbitmqMissing, RabbitmqServer, private_rabbitmq
from tests.support.databases import Databases, settings_of
from tests.support.factory import Factory
from tests.support.servers import ALL, Servers

# Examples share a function's fixtures, and how long one takes is the machine's business, not the code's.
hypothesis_settings.register_profile(
    "callboard",
    deadline=None,
    print_blob=True,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# For a long look: pytest --hypothesis-profile=thorough tests/db/transitions/test_model.py
hypothesis_settings.register_profile(
    "thorough", hypothesis_settings.get_profile("callboard"), max_examples=500, stateful_step_count=60
)
hypothesis_settings.load_profile("callboard")

# Servers run in threads here. What they print while pytest reads and empties what was printed has ended the process (a
# text stream is not safe among threads); what they log is collected line by line.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.format_exc_info,
        structlog.stdlib.render_to_log_kwargs,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
)


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Keep those on one worker of pytest-xdist that share a database which takes long to fill."""
    for item in items:
        for costly in {"crowds", "histories"} & set(item.fixturenames):
            item.add_marker(pytest.mark.xdist_group(f"{costly} {item.callspec.params['postgres']}"))


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the settings of whoever runs the tests out of their way."""
    for name in os.environ:
        if name.startswith("CALLBOARD_") and not name.startswith("CALLBOARD_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session", autouse=True)
def _few_certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trust one authority: each HTTP client, of a test or of a process, loads all that there are, for 40 ms of CPU."""
    first, end, _ = certifi.contents().partition("-----END CERTIFICATE-----")
    file = tmp_path_factory.mktemp("certificates") / "one.pem"
    file.write_text(first + end)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        yield


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Databases:
    """All databases; most tests want ``database`` or ``settings``."""
    directory = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        directory = directory.parent  # which all workers of the run have in common
    databases = Databases(Servers(directory))
    # Not a teardown: waiting for the other workers must not count against the last test's time limit.
    pytestconfig.add_cleanup(databases.close)
    return databases


@pytest.fixture
def postgres(request: pytest.FixtureRequest) -> str:
    """Which PostgreSQL the test runs on; ``tests/db`` runs on all."""
    kind: str = getattr(request, "param", ALL[-1])
    return kind


@pytest.fixture
def settings(databases: Databases, postgres: str) -> Settings:
    """Settings for a migrated database without a row, which is this test's alone."""
    return settings_of(databases.emptied(postgres))


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """Connections to the database of ``settings``."""
    database = Database(settings, role="test")
    yield database
    database.close()


@pytest.fixture
def factory(database: Database) -> Factory:
    """Makes jobs in any state."""
    return Factory(database)


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitmqServer]:
    """A RabbitMQ that tests may stop, kill and empty."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(private_rabbitmq())
        except RabbitmqMissing as missing:
            if os.environ.get("CI"):
                pytest.fail(str(missing))
            pytest.skip(str(missing))
        yield server
