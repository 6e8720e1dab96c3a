"""Verbs with a limit keep to it, whatever plan PostgreSQL chooses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, text, update

from callboard.db.models import jobs
from callboard.db.sql.engine import Database
from callboard.db.transitions import expire, promote
from tests.support.factory import Factory

#: Without these, the planner joins by nested loops; it does so by itself where it knows a table as nearly empty.
OTHER_PLANS = ("hashjoin", "mergejoin", "hashagg", "sort", "material")


def number_expired(connection: Connection, *, limit: int) -> int:
    return len(expire(connection, limit=limit))


@pytest.mark.parametrize("verb", [promote, number_expired])
@pytest.mark.parametrize("nested_loops", [False, True])
def test_no_call_takes_more_jobs_than_its_limit(
    database: Database, factory: Factory, verb: Callable[..., int], nested_loops: bool
) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    for _ in range(5):
        factory.submit(delay=60.0)
    with database.begin() as connection:
        connection.execute(update(jobs).values(due_at=past, expires_at=past))
    with database.begin() as connection:
        for plan in OTHER_PLANS if nested_loops else ():
            connection.execute(text(f"SET LOCAL enable_{plan} = off"))

        assert [verb(connection, limit=2) for _ in range(4)] == [2, 2, 1, 0]
