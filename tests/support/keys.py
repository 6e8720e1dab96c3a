"""API keys for tests."""

from __future__ import annotations

from typing import Any

from callboard.db.access.keys import add_key
from callboard.db.rules.key_text import KeyText
from callboard.db.rules.roles import Role
from callboard.db.sql.engine import Database


def make_key(database: Database, owner: str = "ann", role: Role = Role.CLIENT, **options: Any) -> str:
    """Make a key; the whole of it."""
    text = KeyText.generate("live")
    with database.begin() as connection:
        add_key(connection, text, name=f"{owner}'s", owner=owner, role=role, **options)
    return text.reveal()


def bearer(key: str) -> dict[str, str]:
    """The header that carries a key or token."""
    return {"Authorization": f"Bearer {key}"}
