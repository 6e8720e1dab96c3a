from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from callboard.embedded.account import Account, server_account
from callboard.embedded.binaries import wheel_directory
from callboard.embedded.orphans import cluster_name
from callboard.embedded.postgres import EmbeddedPostgres
from callboard.embedded.process import data_directory_argument
from tests.embedded.supervisor import await_supervisor, server_processes, supervisor_process
from tests.support.until import until

pytestmark = pytest.mark.faults

MakeServer = Callable[..., EmbeddedPostgres]


def test_the_server_ends_with_a_killed_supervisor_and_its_data_stays(tmp_path: Path, make_server: MakeServer) -> None:
    with supervisor_process(tmp_path) as process:
        running = await_supervisor(process)
        with psycopg.connect(running.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
        process.kill()
        process.wait()

        until(lambda: not server_processes(tmp_path))

    with psycopg.connect(make_server(tmp_path).start()) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)


def test_a_start_right_after_the_kill(tmp_path: Path, make_server: MakeServer) -> None:
    with supervisor_process(tmp_path) as process:
        running = await_supervisor(process)
        with psycopg.connect(running.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
        process.kill()
        process.wait()

        with psycopg.connect(make_server(tmp_path).start()) as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (7,)


def test_a_killed_postmaster_is_replaced_though_its_backends_live(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path)
    url = server.start()
    busy = psycopg.connect(url)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    backend = busy.info.backend_pid
    os.kill(backend, signal.SIGSTOP)  # one that does not notice by itself
    killed = server.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    until(lambda: not server.running)
    assert backend in server_processes(tmp_path)

    assert server.ensure_running() == url

    assert server.pid != killed
    assert backend not in server_processes(tmp_path)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)
    with pytest.raises(psycopg.OperationalError):
        busy.execute("SELECT 1")
    busy.close()


def test_stop_after_the_postmaster_was_killed_ends_its_backends(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path)
    with psycopg.connect(server.start()) as connection:
        os.kill(connection.info.backend_pid, signal.SIGSTOP)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)

        server.stop()

        assert server_processes(tmp_path) == []
        connection.close()

    server.start()  # also frees the shared memory that the killed one could not


def test_a_hung_server_is_stopped_in_the_time_given(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path)
    server.start()
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    # SIGINT and SIGQUIT wait for a stopped process to go on; let it at the second.
    resume = threading.Timer(1.5, os.kill, (server.pid, signal.SIGCONT))
    resume.start()

    begin = time.monotonic()
    server.stop(timeout=0.5)

    assert time.monotonic() - begin < 5.0
    assert server_processes(tmp_path) == []
    resume.join()
    make_server(tmp_path).start()


def test_a_postmaster_that_outlived_its_supervisor_is_replaced(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path)
    url = server.start()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    server.stop()
    cluster = tmp_path / "cluster"
    with start_unsupervised(cluster, server_account(cluster), port_of(url)) as orphan:
        until(lambda: "ready" in read_text(cluster / "postmaster.pid"))

        with psycopg.connect(server.start()) as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (7,)

        assert orphan.wait() == 0


def start_unsupervised(cluster: Path, account: Account, port: str) -> subprocess.Popen[bytes]:
    program = str(wheel_directory() / "postgres")
    where = data_directory_argument(cluster, account)
    return subprocess.Popen(
        [program, "-D", where, "-p", port, "-c", f"cluster_name={cluster_name(cluster)}"],
        cwd=cluster,
        user=None if account.is_current else account.uid,
        group=None if account.is_current else account.gid,
        stderr=subprocess.DEVNULL,
    )


def port_of(url: str) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(url)["port"])


def read_text(path: Path) -> str:
    with suppress(FileNotFoundError):
        return path.read_text()
    return ""


def works_below(directory: Path) -> bool:
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdigit() and (process / "cwd").readlink().is_relative_to(directory):
                return True
    return False


def test_a_kill_in_the_middle_of_initdb_leaves_no_half_cluster(tmp_path: Path, make_server: MakeServer) -> None:
    with supervisor_process(tmp_path) as process:
        until(lambda: list(tmp_path.glob("initdb-*/cluster/base/1/*")))
        process.kill()
        process.wait()
    assert not (tmp_path / "cluster").exists()
    until(lambda: not works_below(tmp_path))  # initdb's own server sees the end of its input, and cleans up

    with psycopg.connect(make_server(tmp_path).start()) as connection:
        connection.execute("SELECT 1")

    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"cluster", "lock", "password", "postgres.log", "url"}
