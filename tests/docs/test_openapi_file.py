"""docs/openapi.json says what the API does."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_file_is_what_the_api_serves() -> None:
    text = runpy.run_path(str(DOCS / "openapi_file.py"))["text"]
    assert (DOCS / "openapi.json").read_text(encoding="utf-8") == text(), "the API has changed: run 'make openapi'"
