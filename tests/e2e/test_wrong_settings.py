"""A process that cannot work says why in one line and ends with 2."""

from __future__ import annotations

import socket

import psycopg
import pytest

from callboard.db.settings import Settings
from tests.e2e.stage import Stage
from tests.e2e.system import System
from tests.support.databases import Databases
from tests.support.servers import ALL

SECRET = "hunter2"
DATABASE = f"postgresql://callboard:{SECRET}@127.0.0.1:1/callboard"
AMQP = f"amqp://callboard:{SECRET}@127.0.0.1:1/"


@pytest.fixture
def nothing(stage: Stage) -> System:
    """A system whose database and broker do not exist: nothing here gets so far as to miss them."""
    return stage.put_up(System, database_url=DATABASE, amqp_url=AMQP)


@pytest.mark.parametrize(
    ("command", "settings", "words"),
    [
        pytest.param("worker", {"amqp_url": ""}, ["CALLBOARD_AMQP_URL is not set"], id="no-amqp-url"),
        pytest.param("dispatcher", {"amqp_url": ""}, ["CALLBOARD_AMQP_URL is not set"], id="no-amqp-url-dispatcher"),
        pytest.param("worker", {"amqp_url": f"http://a:{SECRET}@b/"}, ["CALLBOARD_AMQP_URL"], id="no-amqp"),
        pytest.param("api", {"database_url": ""}, ["CALLBOARD_DATABASE_URL is not set"], id="no-database-url"),
        pytest.param("api", {"database_url": f"mysql://a:{SECRET}@b/c"}, ["not a PostgreSQL URL"], id="no-postgresql"),
        pytest.param("worker", {"job_modules": "e2e_jobs,e2e_missing"}, ["e2e_missing", "PYTHONPATH"], id="no-module"),
        pytest.param(
            "worker",
            {"job_modules": "e2e_jobs,e2e_twice"},
            ["'e2e.patient' is defined twice", "e2e_jobs.py:", "e2e_twice.py:"],
            id="two-types-of-a-name",
        ),
        *(
            pytest.param(
                command, {"job_modules": "e2e_exits"}, ["'e2e_exits'", "sys.exit(0)", "exits.py:7"], id=command
            )
            for command in ("api", "up", "worker")
        ),
        pytest.param(
            "up", {"job_modules": "e2e_jobs,e2e_twice"}, ["'e2e.patient' is defined twice"], id="two-types-up"
        ),
        pytest.param("up", {"job_modules": "e2e_vanishes"}, ["'e2e_vanishes' ", "exit code 0", "Gone"], id="vanishes"),
        pytest.param("up", {"files_url": "ftp://a"}, ["CALLBOARD_FILES_URL"], id="no-place-for-files-up"),
        pytest.param("up", {"amqp_url": f"http://a:{SECRET}@b/"}, ["CALLBOARD_AMQP_URL"], id="no-amqp-up"),
        pytest.param("up", {"oidc_issuer": "a"}, ["CALLBOARD_OIDC_ISSUER"], id="half-a-provider-up"),
        pytest.param("worker", {"lease_ttl": "soon"}, ["CALLBOARD_LEASE_TTL"], id="no-number"),
        pytest.param("api --host 0.0.0.0", {}, ["0.0.0.0", "API key"], id="open-address"),
        pytest.param("up --host 0.0.0.0", {}, ["0.0.0.0", "API key"], id="open-address-up"),
    ],
)
def test_it_says_so_in_one_line(nothing: System, command: str, settings: dict[str, str], words: list[str]) -> None:
    port = ("--port", str(nothing.port)) if command.startswith("up") else ()
    ended = nothing.run(*command.split(), *port, **settings)
    assert ended.returncode == 2, ended.stderr
    [line] = ended.stderr.splitlines()
    assert [word for word in words if word not in line] == []
    assert SECRET not in ended.stderr + ended.stdout
    assert ended.stdout == ""


@pytest.mark.parametrize("command", ["migrate", "up"])
def test_folders_of_the_current_directory_hide_no_library(nothing: System, command: str) -> None:
    """They get as far as the database, in each of their processes."""
    for name in ("alembic", "api", "db", "pydantic", "structlog"):
        (nothing.directory / name).mkdir()
        (nothing.directory / name / "__init__.py").touch()
    ended = nothing.run(command, *(("--port", str(nothing.port)) if command == "up" else ()))
    assert ended.returncode == 2, ended.stderr
    [line] = ended.stderr.splitlines()
    assert "The database cannot be migrated" in line


def test_a_queue_that_does_not_exist(nothing: System, settings: Settings) -> None:
    database_url = settings.require_database_url()
    ended = nothing.run("worker", "--queues", "tables,tabels", database_url=database_url)
    assert ended.returncode == 2, ended.stderr
    [line] = ended.stderr.splitlines()
    assert "no queue 'tabels'. Did you mean 'tables'? The job types have: callboard, " in line


def test_check_says_it_of_all_at_once(nothing: System) -> None:
    ended = nothing.run("check", job_modules="e2e_exits")
    assert ended.returncode == 2, ended.stderr
    problems = [line for line in ended.stdout.splitlines() if line.startswith("PROBLEM")]
    assert [line.split()[1] for line in problems] == ["job", "database", "broker"]
    assert SECRET not in ended.stdout + ended.stderr


def test_a_database_that_does_not_fit(stage: Stage, databases: Databases) -> None:
    url = stage.stack.enter_context(databases.fresh(ALL[-1]))
    with psycopg.connect(url, autocommit=True) as connection:
        name = f"{connection.info.dbname}_latin"
        connection.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0".encode())
    try:
        system = stage.put_up(System, database_url=f"{url}_latin", amqp_url=AMQP)
        for command in ("migrate", "api", "dispatcher", "worker", "up"):
            ended = system.run(command, "--port", str(system.port)) if command in {"api", "up"} else system.run(command)
            assert ended.returncode == 2, ended.stderr
            assert "is encoded in LATIN1" in ended.stderr.splitlines()[-1]
            assert len(ended.stderr.splitlines()) == 1
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {connection.info.dbname}_latin".encode())


def test_a_port_that_is_taken(nothing: System) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = nothing.run("up", "--port", port)
    assert ended.returncode == 2, ended.stderr
    [line] = ended.stderr.splitlines()
    assert f"127.0.0.1:{port}" in line
    assert "--port" in line


def test_a_data_directory_in_use(stage: Stage, embedded: System) -> None:
    second = stage.put_up(System, data_dir=embedded.settings["data_dir"])
    ended = second.run("up", "--port", str(second.port))
    assert ended.returncode == 2, ended.stderr
    [line] = ended.stderr.splitlines()
    assert "is in use by process" in line


def test_dramatiqs_own_command_line(nothing: System) -> None:
    process = nothing.start("worker", "dramatiq", "callboard.actors.worker", "--processes", "1", amqp_url="")
    assert process.wait(60) == 2
    assert "\nError: CALLBOARD_AMQP_URL is not set" in process.log()
    assert "Traceback" not in process.log()
