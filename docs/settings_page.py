"""Writes docs/settings.md from db/settings.py: ``python docs/settings_page.py``."""

from __future__ import annotations

from pathlib import Path

from pydantic_core import PydanticUndefined

from callboard.db.settings import Settings

PAGE = Path(__file__).with_name("settings.md")

HEAD = """# Settings

Servers and client commands read these environment variables; flags of a command win over them. Times are seconds,
sizes are bytes. An empty variable counts as not set. A value that does not fit stops the process at its start, with a
message that names the variable (never its value, which may be a secret).

This page is made from `db/settings.py` by `python docs/settings_page.py`.

| variable | default | what it does |
|---|---|---|
"""


def page() -> str:
    """Return the text of docs/settings.md."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.default
        if default is None or default is PydanticUndefined or default == ():
            shown = "not set"
        elif isinstance(default, bool):
            shown = f"`{str(default).lower()}`"
        else:
            shown = f"`{default}`"
        description = " ".join((field.description or "").split()).replace("|", "\\|")
        rows.append(f"| `CALLBOARD_{name.upper()}` | {shown} | {description} |\n")
    return HEAD + "".join(rows)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
