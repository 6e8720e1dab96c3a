"""How PostgreSQL really executes the statements of a call: the plans that auto_explain tells."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import Connection, text

#: psycopg prepares a statement at its fifth execution, PostgreSQL settles on a plan five executions later.
SETTLED = 12


@dataclass(frozen=True)
class Node:
    """One step of a plan that was executed at least once."""

    kind: str
    relation: str | None
    index: str | None
    rows: float
    """Rows that came out of it, of all its loops."""
    read: float
    """Those, and the rows that it looked at and left out."""


def plan_of(connection: Connection, call: Callable[[Connection], object], *, settled: bool) -> list[Node]:
    """Return the executed steps of all statements of ``call``, as first planned or as a long-lived process has them.

    ``call`` is made up to a dozen times; what it writes is rolled back each time.
    """
    plans: list[Any] = []

    def note(diagnostic: psycopg.errors.Diagnostic) -> None:
        _, found, plan = (diagnostic.message_primary or "").partition("plan:\n")
        if found:
            plans.append(json.loads(plan)["Plan"])

    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    connection.execute(text("LOAD 'auto_explain'"))
    for name, value in _AUTO_EXPLAIN.items():
        connection.execute(text(f"SET LOCAL {name} = {value}"))
    for _ in range(SETTLED if settled else 1):
        plans.clear()
        savepoint = connection.begin_nested()
        driver.add_notice_handler(note)
        try:
            call(connection)
        finally:
            savepoint.rollback()  # which also ends the last statement, and only then its plan is told
            driver.remove_notice_handler(note)
    return [node for plan in plans for node in _nodes(plan)]


_AUTO_EXPLAIN = {
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_format": "json",
    "client_min_messages": "log",
}


def _nodes(plan: dict[str, Any]) -> Iterator[Node]:
    if plan["Actual Loops"]:
        rows = plan["Actual Rows"] * plan["Actual Loops"]
        left_out = sum(plan.get(f"Rows Removed by {step}", 0) for step in ("Filter", "Index Recheck"))
        read = rows + left_out * plan["Actual Loops"]
        yield Node(plan["Node Type"], plan.get("Relation Name"), plan.get("Index Name"), rows, read)
    for part in plan.get("Plans", ()):
        yield from _nodes(part)
