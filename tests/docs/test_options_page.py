"""docs/options.md says what the declarations of options and filters do."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_made_from_the_declarations() -> None:
    page = runpy.run_path(str(DOCS / "options_page.py"))["page"]
    assert (DOCS / "options.md").read_text(encoding="utf-8") == page(), "run: python docs/options_page.py"
