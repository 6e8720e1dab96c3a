"""What analysts see, and what they do not: they try."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import psycopg
import pytest
from psycopg import errors, sql
from sqlalchemy import literal, select, text
from sqlalchemy.engine import make_url

from callboard.actors.maintenance.leader import leads
from callboard.db.dispatching.due import take_queues
from callboard.db.errors import ConfigurationError, Conflict, InvalidInput, NotFound
from callboard.db.history.analyst_query import ask
from callboard.db.history.rollups import follow
from callboard.db.models import history_rollup_state
from callboard.db.rules.states import Status
from callboard.db.schema.analysts import (
    ANALYST,
    AnalystLimits,
    add_analyst,
    ensure_analyst_roles,
    list_analysts,
    remove_analyst,
)
from callboard.db.schema.migrate import migrate
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.db.sql.locks import ensure_lock, idempotency_lock, lock
from tests.support.databases import Databases, settings_of
from tests.support.factory import Factory

LogIn = Callable[..., psycopg.Connection]


@pytest.fixture
def log_in(database: Database, settings: Settings, factory: Factory) -> Iterator[LogIn]:
    """Make an analyst and log in as it; there are jobs of two owners, live and finished."""
    for owner in ("ada", "bob"):
        for status in (Status.QUEUED, Status.SUCCEEDED, Status.FAILED):
            factory.in_state(status, owner=owner, unique_key=f"{owner}-{status}")
    made: list[str] = []
    connections: list[psycopg.Connection] = []

    def log_in(owner: str | None = None) -> psycopg.Connection:
        name = f"analyst_{secrets.token_hex(4)}"
        with database.begin() as connection:
            password = add_analyst(connection, name, owner=owner)
        made.append(name)
        url = make_url(settings.require_database_url()).set(username=name, password=password)
        connections.append(psycopg.connect(url.render_as_string(hide_password=False), autocommit=True))
        return connections[-1]

    yield log_in
    for each in connections:
        each.close()
    for name in made:
        with database.begin() as connection:
            remove_analyst(connection, name)


def counted(connection: psycopg.Connection, statement: str) -> object:
    row = connection.execute(sql.SQL(statement)).fetchone()
    assert row is not None
    return row[0]


def test_an_analyst_sees_the_jobs_of_all(log_in: LogIn) -> None:
    analyst = log_in()

    assert counted(analyst, "SELECT count(*) FROM analytics.jobs") == 4
    assert counted(analyst, "SELECT count(*) FROM analytics.attempts") == 4
    assert counted(analyst, "SELECT count(*) FROM analytics.live_jobs") == 2
    assert counted(analyst, "SELECT sum(jobs) FROM analytics.failures") == 2
    assert counted(analyst, "SELECT array_agg(DISTINCT owner) FROM analytics.owner_usage") == ["ada", "bob"]


REFUSED = (
    "INSERT INTO callboard.job_history (id) VALUES (gen_random_uuid())",
    "UPDATE callboard.job_history SET owner = 'me'",
    "DELETE FROM callboard.job_attempts",
    "TRUNCATE callboard.jobs",
    "DROP VIEW analytics.jobs",
    "CREATE TABLE callboard.mine (id int)",
    "CREATE TABLE analytics.mine (id int)",
    "INSERT INTO analytics.sla VALUES ('*', '1 s')",
    "INSERT INTO callboard.retention_rules VALUES ('*', '*', 1)",
    "SELECT payload FROM callboard.job_history",
    "SELECT result FROM callboard.job_history",
    "SELECT error FROM callboard.job_history",
    "SELECT * FROM callboard.job_history",
    "SELECT job_history FROM callboard.job_history",
    "SELECT payload FROM callboard.jobs",
    "SELECT unique_key FROM callboard.jobs",
    "SELECT webhook_url FROM callboard.job_history",
    "SELECT error_message FROM callboard.job_attempts",
    "SELECT traceback FROM callboard.job_attempts",
    "SELECT message FROM callboard.job_progress",
    "SELECT secret_sha256 FROM callboard.api_keys",
    "SELECT * FROM callboard.idempotency_keys",
    "SELECT * FROM callboard.audit_log",
    "SELECT * FROM callboard.analysts",
    "SELECT id FROM callboard.job_history_default",
    "SET ROLE callboard",
)


@pytest.mark.parametrize("owner", [None, "ada"])
def test_an_analyst_is_refused(log_in: LogIn, owner: str | None) -> None:
    analyst = log_in(owner)
    analyst.execute("SET default_transaction_read_only = off")  # as everybody may
    for statement in REFUSED:
        with pytest.raises(errors.InsufficientPrivilege):
            analyst.execute(sql.SQL(statement))


def test_an_analyst_of_an_owner_sees_its_rows_only(log_in: LogIn, database: Database) -> None:
    with database.begin() as connection:
        for owner in (None, "ada", "bob"):
            connection.execute(
                text(
                    "INSERT INTO callboard.history_rollup (grain, dimension, owner, starts_at, value, jobs, succeeded, "
                    "failed, cancelled, expired, attempts, waited, ran) VALUES ('hour', 'type', :owner, "
                    "date_trunc('hour', now(), 'UTC'), 'test.job', :jobs, 0, 0, 0, 0, 0, 0, 0)"
                ),
                {"owner": owner, "jobs": len(owner or "everybody")},
            )
    analyst = log_in("ada")

    assert counted(analyst, "SELECT array_agg(DISTINCT owner) FROM callboard.job_history") == ["ada"]
    assert counted(analyst, "SELECT count(*) FROM callboard.job_history WHERE owner = 'bob'") == 0
    assert counted(analyst, "SELECT count(*) FROM callboard.job_attempts") == 2
    assert counted(analyst, "SELECT array_agg(DISTINCT owner) FROM analytics.live_jobs") == ["ada"]
    assert counted(analyst, "SELECT sum(jobs) FROM analytics.throughput") == 3
    assert counted(analyst, "SELECT array_agg(DISTINCT owner) FROM callboard.history_rollup") == ["ada"]
    assert counted(log_in(), "SELECT sum(jobs) FROM analytics.throughput") == 9
    # Neither by asking whose analyst somebody else is, nor by becoming nobody's.
    other = counted(log_in("bob"), "SELECT current_user")
    assert counted(analyst, f"SELECT callboard.owner_of_analyst('{other}')") is None
    with pytest.raises(errors.InsufficientPrivilege):
        analyst.execute(f"SET ROLE {other}")


def test_an_analyst_of_an_owner_cannot_become_one_of_all(log_in: LogIn) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        log_in("ada").execute(f"SET ROLE {ANALYST}")


def test_an_analyst_who_is_nobodys_sees_nothing(log_in: LogIn, database: Database) -> None:
    analyst = log_in("ada")
    with database.begin() as connection:
        connection.execute(text("DELETE FROM callboard.analysts"))

    for relation in ("analytics.jobs", "analytics.attempts", "analytics.live_jobs", "callboard.history_rollup"):
        assert counted(analyst, f"SELECT count(*) FROM {relation}") == 0
    with database.begin() as connection:  # for the removal
        connection.execute(text("INSERT INTO callboard.analysts SELECT current_user, 'ada'"))


def test_a_setting_shows_contents(log_in: LogIn, database: Database) -> None:
    analyst = log_in("ada")
    with database.begin() as connection:
        assert ensure_analyst_roles(connection, contents=True)
    assert counted(analyst, "SELECT payload->>'n' FROM callboard.job_history LIMIT 1") == "1"
    assert counted(analyst, "SELECT max(error_message) FROM callboard.job_attempts") == "no such thing"
    with pytest.raises(errors.InsufficientPrivilege):
        analyst.execute("SELECT unique_key FROM callboard.jobs")

    with database.begin() as connection:
        assert ensure_analyst_roles(connection, contents=False)
    with pytest.raises(errors.InsufficientPrivilege):
        analyst.execute("SELECT payload FROM callboard.job_history")


def test_a_long_transaction_of_an_analyst_does_not_hold_up_the_rollups(log_in: LogIn, database: Database) -> None:
    analyst = log_in()
    with analyst.transaction():
        began = counted(analyst, "SELECT now()")
        with database.begin() as connection:
            follow(connection, late=60, visible_after=timedelta(0))
            followed_at: datetime = connection.execute(select(history_rollup_state.c.followed_at)).scalar_one()
    assert isinstance(began, datetime)
    assert followed_at > began


def test_an_analyst_holds_up_no_dispatch_and_no_duty(log_in: LogIn, database: Database, factory: Factory) -> None:
    """Any session may take any advisory lock: nothing may depend on one whose number others can tell."""
    analyst = log_in()
    factory.submit(queue="default")
    with analyst.transaction():
        for known in ("callboard.dispatch", "callboard.maintenance"):
            for name in ("default", "rescue", "expire", "rollups", "partitions"):
                analyst.execute("SELECT pg_advisory_xact_lock(hashtext(%s), hashtext(%s))", [known, name])
        for known in ("callboard.partitions", "callboard.analysts"):
            analyst.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [known])
        analyst.execute(f"SELECT pg_advisory_xact_lock({0x63616C6C626F6172})")
        with database.begin() as connection:
            assert take_queues(connection, default_window=1).limits.keys() == {"default"}
            assert leads(connection, "rescue")
            lock(connection, "partitions")
            assert ensure_analyst_roles(connection, contents=False)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT callboard.try_lock('queue default')",
        "SELECT seed FROM callboard.locks",
        "SELECT FROM callboard.locks FOR UPDATE",
        "SELECT FROM callboard.locks FOR KEY SHARE",
        "LOCK TABLE callboard.locks IN ACCESS SHARE MODE",
        "LOCK TABLE callboard.jobs IN SHARE MODE",
        "SELECT id FROM callboard.jobs FOR SHARE",
        "SELECT name FROM callboard.queues FOR SHARE",
        "INSERT INTO callboard.locks (name) VALUES ('queue new')",
    ],
)
def test_an_analyst_takes_no_lock_of_the_service(log_in: LogIn, statement: str) -> None:
    analyst = log_in()
    analyst.execute("SET default_transaction_read_only = off")
    with pytest.raises(errors.InsufficientPrivilege), analyst.transaction():
        analyst.execute(sql.SQL(statement))


def test_the_lock_of_an_idempotency_key_is_secret(log_in: LogIn, database: Database) -> None:
    analyst = log_in()
    with database.begin() as connection:
        ensure_lock(connection, "idempotency keys")
    number = idempotency_lock(literal("ada"), literal("monday"))
    with database.begin() as connection:
        secret = connection.execute(select(number)).scalar_one()
    guessed = counted(analyst, "SELECT hashtextextended('ada', hashtextextended('monday', 0))")
    assert secret != guessed


def test_an_analyst_has_limits(log_in: LogIn, database: Database, settings: Settings) -> None:
    analyst = log_in()
    assert counted(analyst, "SHOW statement_timeout") == "5min"
    assert counted(analyst, "SHOW idle_in_transaction_session_timeout") == "5min"
    assert counted(analyst, "SHOW default_transaction_read_only") == "on"

    name = f"analyst_{secrets.token_hex(4)}"
    with database.begin() as connection:
        password = add_analyst(connection, name, owner=None, limits=AnalystLimits(1, 2.5))
    url = make_url(settings.require_database_url()).set(username=name, password=password)
    try:
        with psycopg.connect(url.render_as_string(hide_password=False)) as only:
            assert counted(only, "SHOW statement_timeout") == "2500ms"
            with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
                psycopg.connect(url.render_as_string(hide_password=False))
    finally:
        with database.begin() as connection:
            remove_analyst(connection, name)


def test_names_are_taken_once_and_unknown_ones_are_named(log_in: LogIn, database: Database) -> None:
    name = str(counted(log_in("ada"), "SELECT current_user"))
    with database.begin() as connection:
        assert (name, "ada") in list_analysts(connection)
        with pytest.raises(Conflict, match=name):
            add_analyst(connection, name, owner=None)
        with pytest.raises(NotFound, match="nobody"):
            remove_analyst(connection, "nobody")


@contextmanager
def ordinary_user(url: str) -> Iterator[str]:
    """Yield the URL of a user who owns the database and may make no roles, as on managed PostgreSQL."""
    name, password = f"owner_{secrets.token_hex(4)}", secrets.token_hex(8)
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), sql.Literal(password)))
        admin.execute(
            sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(admin.info.dbname), sql.Identifier(name))
        )
        yield make_url(url).set(username=name, password=password).render_as_string(hide_password=False)
        admin.execute(sql.SQL("REASSIGN OWNED BY {0} TO CURRENT_USER; DROP OWNED BY {0}; DROP ROLE {0}").format(
            sql.Identifier(name)
        ))  # fmt: skip


def test_a_user_who_may_make_no_roles_can_migrate(databases: Databases, postgres: str) -> None:
    with databases.fresh(postgres) as admin_url, ordinary_user(admin_url) as url:
        settings = settings_of(url)
        migrate(settings)
        database = Database(settings, role="test")
        factory = Factory(database)
        factory.in_state(Status.SUCCEEDED)
        with database.begin() as connection:
            # The roles are there, of another database of this server; or they are not.
            made = ensure_analyst_roles(connection, contents=False)
            missing = connection.execute(text("SELECT to_regrole('callboard_analyst') IS NULL")).scalar_one()
        assert made is not missing
        with database.begin() as connection, pytest.raises(ConfigurationError):
            add_analyst(connection, "somebody", owner=None)
        # Row security is on, and is nothing to the owner of the tables.
        with database.begin() as connection:
            assert connection.execute(text("SELECT count(*) FROM callboard.job_history")).scalar_one() == 1
            plan = connection.execute(text("EXPLAIN SELECT id FROM callboard.job_history")).scalars().all()
        assert "owner_of_analyst" not in str(plan)
        database.close()


def test_a_query_is_read_only_and_one_statement(database: Database, factory: Factory) -> None:
    factory.in_state(Status.SUCCEEDED)

    def result(query: str, timeout: float = 5.0) -> list[object]:
        with database.begin() as connection:
            return list(ask(connection, query, timeout=timeout))

    assert result("SELECT type, attempts FROM analytics.jobs") == [["type", "attempts"], ("test.job", 1)]
    assert result("SELECT current_user AS me") == [["me"], (ANALYST,)]
    assert result("SELECT 1 AS one WHERE false") == [[]]
    for query in (
        "DELETE FROM callboard.jobs",
        "SELECT payload FROM callboard.job_history",
        "SELECT 1; SELECT 2",
        "COMMIT; DELETE FROM callboard.job_history",
        "SELECT nothing",
        "",
    ):
        with pytest.raises(InvalidInput):
            result(query)
    with pytest.raises(InvalidInput, match="statement timeout"):
        result("SELECT pg_sleep(20)", timeout=0.1)
    assert result("SELECT count(*) AS n FROM analytics.jobs") == [["n"], (1,)]
