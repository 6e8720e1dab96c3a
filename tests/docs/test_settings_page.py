"""docs/settings.md says what db/settings.py does."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_made_from_the_settings() -> None:
    page = runpy.run_path(str(DOCS / "settings_page.py"))["page"]
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == page(), "run: python docs/settings_page.py"
