"""Statements that psycopg sends itself."""

from __future__ import annotations

import pytest
from sqlalchemy import Text, bindparam, func, insert, select, text
from sqlalchemy.exc import IntegrityError

from db.engine import Database
from db.errors import Unavailable
from db.hot import HotStatement, execute_together
from db.models import queues

MAKE = HotStatement(insert(queues).values(name=bindparam("of_name", type_=Text)).returning(queues.c.name))
NAMES = HotStatement(select(queues.c.name).where(queues.c.paused.is_(False)).order_by(queues.c.name))
BACKEND = HotStatement(select(func.pg_backend_pid().label("pid")))


def test_each_statement_sees_those_before_it(database: Database) -> None:
    with database.autocommit() as connection:
        made, names = execute_together(connection, (MAKE, {"of_name": "one"}), (NAMES, {}))

    assert made == [{"name": "one"}]
    assert names == [{"name": "one"}]


def test_together_they_are_one_transaction(database: Database) -> None:
    with database.autocommit() as connection, pytest.raises(IntegrityError):
        execute_together(connection, (MAKE, {"of_name": "one"}), (MAKE, {"of_name": "one"}))
    with database.autocommit() as connection:
        assert execute_together(connection, (NAMES, {})) == [[]]


def test_they_take_part_in_a_transaction(database: Database) -> None:
    with pytest.raises(LookupError), database.begin() as connection:  # noqa: PT012
        execute_together(connection, (MAKE, {"of_name": "one"}))
        raise LookupError
    with database.begin() as connection:
        assert execute_together(connection, (NAMES, {})) == [[]]


def test_a_connection_that_has_ended_is_replaced(database: Database) -> None:
    with pytest.raises(Unavailable), database.autocommit() as connection:  # noqa: PT012
        [[mine]] = execute_together(connection, (BACKEND, {}))
        with database.autocommit() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), mine)
        execute_together(connection, (NAMES, {}), (NAMES, {}))
    for _ in range(3):
        with database.autocommit() as connection:
            assert execute_together(connection, (NAMES, {})) == [[]]


def test_a_list_whose_length_is_part_of_the_statement_is_refused() -> None:
    with pytest.raises(TypeError, match="as arrays"):
        HotStatement(select(queues.c.name).where(queues.c.name.in_(["one", "two"])))
