"""Writes docs/openapi.json, the OpenAPI document of the API: ``make openapi``."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import SecretStr

from callboard.actors.types.registry import Registry
from callboard.api.app import create_app
from callboard.db.settings import Settings

FILE = Path(__file__).with_name("openapi.json")


def text() -> str:
    """Return the text of docs/openapi.json, which depends neither on settings nor on job types."""
    with TemporaryDirectory() as empty:
        settings = Settings(database_url=SecretStr("postgresql://localhost/callboard"), data_dir=Path(empty))
        document = create_app(settings, Registry()).openapi()
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
