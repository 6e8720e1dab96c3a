"""Callboard works in the folder of a project that has modules ``db``, ``api``, ``actors`` and a folder ``alembic``.

And the project works with Callboard installed beside it.
"""

from __future__ import annotations

import json
import signal
import socket
import time
from contextlib import suppress

import httpx
import pytest

from tests.packaging.installed import Installed
from tests.support.ports import free_port

GREETING = {"name": "Ada"}


def test_up_runs_the_job_of_the_readme(up: Installed) -> None:
    watched = up.run("callboard", "submit", "greeting.send", "--payload", json.dumps(GREETING), "--watch")
    assert watched.returncode == 0, watched.stderr
    assert "Hello, Ada!" in watched.stdout


def test_an_application_answers_and_its_endpoint_is_a_job(up: Installed) -> None:
    port = free_port()
    process = up.start("uvicorn", "uvicorn", "api.main:app", "--port", str(port))
    url = f"http://127.0.0.1:{port}/tables"
    deadline = time.monotonic() + 30
    while True:
        with suppress(httpx.TransportError):
            assert httpx.post(url).json() == ["orders"]
            break
        assert process.running, process.log()
        assert time.monotonic() < deadline, process.log()
        time.sleep(0.05)
    accepted = httpx.post(url, headers={"Prefer": "respond-async"})
    assert accepted.status_code == 202, accepted.text
    job = up.api.wait(accepted.json()["id"])
    assert (job["status"], job["result"]) == ("succeeded", ["orders"])
    process.stop()


def test_up_stops_and_leaves_nothing(up: Installed) -> None:
    assert up.server_processes()
    assert up.up.stop() == 0
    assert up.family.members() == {}
    assert up.server_processes() == []
    with socket.create_server(("127.0.0.1", up.port)):
        pass
    up.start_up()  # for the tests that share it


def test_dramatiq_starts_the_installed_worker(distributed: Installed) -> None:
    worker = distributed.start("worker", "dramatiq", "callboard.actors.worker", "--processes", "1", "--threads", "1")
    job = distributed.api.wait(distributed.api.submit("greeting.send", GREETING), timeout=60)
    assert (job["status"], job["result"]) == ("succeeded", "Hello, Ada!")
    assert worker.stop() == 0


def test_dramatiq_starts_a_worker_of_the_projects_own_actors(installed: Installed) -> None:
    worker = installed.start("own", "dramatiq", "actors:their_broker", "--processes", "1", "--threads", "1")
    deadline = time.monotonic() + 30
    while "ready for action" not in worker.log():
        assert worker.running, worker.log()
        assert time.monotonic() < deadline, worker.log()
        time.sleep(0.05)
    assert worker.stop(signal.SIGTERM) == 0


def test_alembic_runs_the_projects_own_migrations(installed: Installed) -> None:
    history = installed.run("alembic", "history")
    assert history.stdout == "<base> -> 0001 (head), The first migration of a user's own.\n", history.stderr
    upgraded = installed.run("alembic", "upgrade", "head", "--sql")
    assert "CREATE TABLE orders" in upgraded.stdout, upgraded.stderr


@pytest.mark.parametrize("name", ["db", "api.main", "actors"])
def test_a_module_of_the_project_is_found_wherever_its_folder_is_on_the_path(installed: Installed, name: str) -> None:
    """A project that is installed for development comes after what is installed."""
    code = f"import sys; sys.path.append({str(installed.directory)!r}); import {name}; print({name}.__file__)"
    path = installed.directory / (name.replace(".", "/") + ".py")
    assert installed.python(code, "-I") == str(path)


@pytest.mark.parametrize("name", ["db", "api", "actors", "migrations", "tests", "bench"])
def test_nothing_but_callboard_is_importable(installed: Installed, name: str) -> None:
    assert installed.python(f"import importlib.util; print(importlib.util.find_spec({name!r}))", "-I") == "None"
