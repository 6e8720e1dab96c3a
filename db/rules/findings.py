"""What Pydantic finds wrong with a value, in our words. Pure: findings come as plain mappings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from callboard.db.errors import FieldError
from callboard.db.rules.pointers import pointer

_PREFIXES: Final = ("Value error, ", "Assertion failed, ")


def finding(item: Mapping[str, Any], *prefix: object) -> FieldError:
    """Return one of ``ValidationError.errors()``, with ``prefix`` before its location."""
    message = str(item["msg"])
    if item["type"] == "extra_forbidden":
        message = "there is no such field"
    for added in _PREFIXES:
        message = message.removeprefix(added)
    return FieldError(message, pointer((*prefix, *item["loc"])))
