"""Statements that psycopg sends itself."""

from __future__ import annotations

import pytest
from sqlalchemy import Text, bindparam, func, insert, select, text
from sqlalchemy.exc import IntegrityError

from callboard.db.errors import Unavailable
from callboard.db.models import queues
from callboard.db.sql.engine import Database
from callboard.db.sql.pipeline import NOT_DURABLE, PreparedStatement, execute_together

MAKE = PreparedStatement(insert(queues).values(name=bindparam("of_name", type_=Text)).returning(queues.c.name))
NAMES = PreparedStatement(select(queues.c.name).where(queues.c.paused.is_(False)).order_by(queues.c.name))
BACKEND = PreparedStatement(select(func.pg_backend_pid().label("pid")))


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


def test_the_commit_can_go_with_them(database: Database) -> None:
    with database.begin() as connection:
        execute_together(connection, (MAKE, {"of_name": "one"}), commit=True)
        with database.autocommit() as other:
            assert execute_together(other, (NAMES, {})) == [[{"name": "one"}]]
        execute_together(connection, (MAKE, {"of_name": "two"}))  # in a transaction of its own, which the block commits
    with database.autocommit() as connection:
        assert execute_together(connection, (NAMES, {})) == [[{"name": "one"}, {"name": "two"}]]


def test_what_comes_afterwards_is_a_transaction_of_its_own(database: Database) -> None:
    with database.autocommit() as connection, pytest.raises(IntegrityError):
        execute_together(connection, (MAKE, {"of_name": "one"}), afterwards=[(MAKE, {"of_name": "one"})])
    with database.autocommit() as connection:
        assert execute_together(connection, (NAMES, {})) == [[{"name": "one"}]]


def test_a_transaction_need_not_wait_for_the_disk(database: Database) -> None:
    waits = PreparedStatement(select(func.current_setting("synchronous_commit").label("waits")))
    with database.begin() as connection:
        assert execute_together(connection, NOT_DURABLE, (waits, {}))[1] == [{"waits": "off"}]
    with database.begin() as connection:
        assert execute_together(connection, (waits, {})) == [[{"waits": "on"}]]


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
        PreparedStatement(select(queues.c.name).where(queues.c.name.in_(["one", "two"])))
