"""Job types whose payloads can be wrong in more places than they have bytes."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, create_model

from callboard import job

_FIELDS: Any = {f"field_{number}": (int, ...) for number in range(20)}
Wide: type[BaseModel] = create_model("Wide", **_FIELDS)


class Table(BaseModel):
    rows: list[Wide]
    by_name: dict[str, Wide] = {}


@job("wide.table")
def table(payload: Table) -> None:
    """Take rows."""


@job("wide.union")
def union(payload: list[int | bool | list[int] | dict[str, int]]) -> None:
    """Take what fits one of many types."""
