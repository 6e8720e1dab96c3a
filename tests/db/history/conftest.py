from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from callboard.db.settings import Settings
from tests.support.databases import Databases
from tests.support.samples import sample_histories


@pytest.fixture(scope="package")
def histories(databases: Databases) -> Iterator[Callable[[str], Settings]]:
    """Made-up histories that no test changes."""
    with sample_histories(databases) as history:
        yield history


@pytest.fixture
def sample(histories: Callable[[str], Settings], postgres: str) -> Settings:
    return histories(postgres)


@pytest.fixture
def sample_connection(sample: Settings) -> Iterator[psycopg.Connection]:
    """A superuser's connection as an analyst's program would open it."""
    with psycopg.connect(sample.require_database_url(), options="-c timezone=UTC") as connection:
        yield connection
