from __future__ import annotations

import pytest

from tests.support.servers import ALL


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test here on every PostgreSQL."""
    if "postgres" in metafunc.fixturenames:
        metafunc.parametrize("postgres", ALL, indirect=True)
