"""The API with a directory for uploaded files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from callboard.db.settings import Settings
from tests.api.files.uploading import LIMIT, serving_files


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def file_settings(settings: Settings, store: Path) -> Settings:
    return settings.model_copy(update={"files_url": store.as_uri(), "max_file_bytes": LIMIT})


@pytest.fixture
def client(file_settings: Settings) -> Iterator[httpx.Client]:
    with serving_files(file_settings) as api:
        yield api.client
