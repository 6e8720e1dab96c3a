"""The connection that a busy thread keeps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, text

from callboard.db.errors import Unavailable
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database, PinnedConnection


@pytest.fixture
def pinned(database: Database) -> Iterator[PinnedConnection]:
    connection = database.pinned()
    yield connection
    connection.close()


def pid(connection: Connection) -> int:
    pid: int = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    return pid


def pid_of(pinned: PinnedConnection) -> int:
    with pinned.use() as connection:
        return pid(connection)


def terminate(database: Database, backend: int) -> None:
    with database.autocommit() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": backend})


def test_it_is_kept(database: Database, pinned: PinnedConnection) -> None:
    first = pid_of(pinned)
    with database.begin() as other:
        assert pid(other) != first
    assert pid_of(pinned) == first


def test_each_statement_is_durable_at_once(database: Database, pinned: PinnedConnection) -> None:
    with pinned.use() as connection:
        connection.execute(text("INSERT INTO callboard.queues (name) VALUES ('one')"))
        with database.begin() as other:
            assert other.execute(text("SELECT name FROM callboard.queues")).scalars().all() == ["one"]


def test_a_block_is_one_transaction_where_that_is_asked_for(database: Database) -> None:
    pinned = database.pinned(transactional=True)
    kept = pid_of(pinned)
    with pinned.use() as connection:
        connection.execute(text("INSERT INTO callboard.queues (name) VALUES ('one')"))
        with database.begin() as other:
            assert other.execute(text("SELECT name FROM callboard.queues")).scalars().all() == []
    assert pid_of(pinned) == kept
    with pytest.raises(ZeroDivisionError), pinned.use() as connection:  # noqa: PT012
        connection.execute(text("INSERT INTO callboard.queues (name) VALUES ('two')"))
        raise ZeroDivisionError

    with pinned.use() as connection:
        assert connection.execute(text("SELECT name FROM callboard.queues")).scalars().all() == ["one"]
    pinned.close()


def test_after_its_end_the_next_statement_finds_another(database: Database, pinned: PinnedConnection) -> None:
    first = pid_of(pinned)
    terminate(database, first)

    with pytest.raises(Unavailable):
        pid_of(pinned)
    assert pid_of(pinned) != first


def test_it_is_given_up_with_the_pool(database: Database, pinned: PinnedConnection) -> None:
    """A server that has become a standby would go on answering it, with what was true then."""
    first = pid_of(pinned)
    with pytest.raises(Unavailable), database.begin() as other:  # noqa: PT012
        terminate(database, pid(other))
        pid(other)

    assert pid_of(pinned) != first


def test_it_counts_among_the_pool(settings: Settings) -> None:
    database = Database(settings.model_copy(update={"connect_timeout": 1}), role="test", pool_size=1)
    pinned = database.pinned()
    pid_of(pinned)
    with pytest.raises(Unavailable), database.begin():
        pass

    pinned.close()
    with database.begin() as other:
        pid(other)
    database.close()
