from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from callboard.db.errors import ConfigurationError, Unavailable
from callboard.embedded.log import ServerLog
from callboard.embedded.postgres import EmbeddedPostgres
from tests.embedded.supervisor import await_supervisor, server_processes, supervisor_process
from tests.services.postgres import system_binaries

MakeServer = Callable[..., EmbeddedPostgres]


def test_a_durable_utf8_database_with_passwords(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "new" / "pg")
    try:
        with psycopg.connect(server.start()) as connection:
            row = connection.execute(
                "SELECT current_database(), current_setting('server_encoding'), current_setting('fsync'), "
                "current_setting('full_page_writes'), current_setting('synchronous_commit'), "
                "(SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules), upper('ä')"
            ).fetchone()
    finally:
        server.stop()

    assert row == ("callboard", "UTF8", "on", "on", "on", "scram-sha-256", "Ä")


def test_the_next_run_has_the_same_data_and_url(tmp_path: Path, make_server: MakeServer) -> None:
    first = make_server(tmp_path)
    url = first.start()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    first.stop()

    second_url = make_server(tmp_path).start()

    assert second_url == url == (tmp_path / "url").read_text().strip()
    with psycopg.connect(second_url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)


def test_stop_leaves_no_process_and_may_be_repeated(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path)
    with psycopg.connect(server.start()):  # a client that stays connected does not hold it up
        assert server.running
        assert server.pid in server_processes(tmp_path)
        server.stop()

    assert server_processes(tmp_path) == []
    assert not server.running
    server.stop()


def test_start_again_does_nothing_and_outlives_the_thread_that_called_it(
    tmp_path: Path, make_server: MakeServer
) -> None:
    server = make_server(tmp_path)
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    pid = server.pid

    url = server.start()

    assert server.ensure_running() == url
    assert server.pid == pid
    with psycopg.connect(url) as connection:
        connection.execute("SELECT 1")


def test_a_second_supervisor_is_refused(tmp_path: Path, make_server: MakeServer) -> None:
    with supervisor_process(tmp_path) as process:
        running = await_supervisor(process)

        with pytest.raises(ConfigurationError, match=f"{re.escape(str(tmp_path))} is in use by process {process.pid}"):
            make_server(tmp_path).start()

        with psycopg.connect(running.url) as connection:  # and does the first no harm
            connection.execute("SELECT 1")
    assert process.returncode == 0

    make_server(tmp_path).start()


def test_stale_files_are_no_obstacle(tmp_path: Path, make_server: MakeServer) -> None:
    make_server(tmp_path).start()
    stopped = make_server(tmp_path / "other")
    stopped.start()
    stopped.stop()
    (tmp_path / "other" / "lock").write_text(f"{os.getpid()}\n")
    living_postmaster = (tmp_path / "cluster" / "postmaster.pid").read_text()
    (tmp_path / "other" / "cluster" / "postmaster.pid").write_text(living_postmaster)

    with psycopg.connect(stopped.start()) as connection:
        connection.execute("SELECT 1")


def test_another_port_where_the_last_one_is_taken(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path)
    first_port = psycopg.conninfo.conninfo_to_dict(server.start())["port"]
    server.stop()
    with socket.create_server(("127.0.0.1", int(str(first_port)))):
        url = server.start()

    assert psycopg.conninfo.conninfo_to_dict(url)["port"] != first_port
    with psycopg.connect(url) as connection:
        connection.execute("SELECT 1")


def test_the_password_is_the_only_way_in_and_nowhere_to_be_seen(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path)
    url = server.start()
    password = (tmp_path / "password").read_text().strip()

    for wrong in (url.replace(password, "guess"), url.replace(f":{password}", "")):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(wrong)

    assert password in url
    command_lines = ""
    for pid in server_processes(tmp_path):
        with suppress(FileNotFoundError, ProcessLookupError):  # the backends of the refused logins are ending
            command_lines += Path(f"/proc/{pid}/cmdline").read_text()
    assert "cluster_name=" in command_lines
    assert password not in command_lines
    assert password not in (tmp_path / "postgres.log").read_text()
    for name in ("password", "url", "postgres.log", "lock"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_the_server_does_not_see_our_environment(
    tmp_path: Path, make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = secrets.token_hex()
    monkeypatch.setenv("CALLBOARD_API_KEY", secret)
    monkeypatch.setenv("PGPORT", "1")
    server = make_server(tmp_path)
    server.start()

    try:
        environment = Path(f"/proc/{server.pid}/environ").read_text()
    except PermissionError:
        pytest.skip("root without CAP_SYS_PTRACE cannot see another user's environment")

    assert "LC_ALL=C" in environment
    assert secret not in environment


def test_a_server_that_does_not_start_shows_its_log(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path)
    server.start()
    server.stop()
    operators = tmp_path / "cluster" / "postgresql.conf"
    good = operators.read_text()
    operators.write_text(f"{good}shared_buffers = 'plenty'\n")

    with pytest.raises(Unavailable, match=r'postgres\.log ends with:\n(.*\n)*.*"shared_buffers": "plenty"'):
        server.start()

    operators.write_text(f"{good}work_mem = '9MB'\n")
    with psycopg.connect(server.start()) as connection:
        assert connection.execute("SHOW work_mem").fetchone() == ("9MB",)


def test_data_of_another_version_is_refused(open_dir: Path, make_server: MakeServer) -> None:
    try:
        other = system_binaries()
    except LookupError as absent:
        pytest.skip(str(absent))
    older = make_server(open_dir, binaries=other)
    older.start()
    older.stop()

    with pytest.raises(ConfigurationError, match=r"was made by PostgreSQL \d+, and .* is PostgreSQL 18"):
        make_server(open_dir).start()


def test_a_lost_password_file_is_named(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path)
    server.start()
    server.stop()
    (tmp_path / "password").unlink()

    with pytest.raises(ConfigurationError, match=re.escape(str(tmp_path / "password"))):
        server.start()

    assert server_processes(tmp_path) == []


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path, make_server: MakeServer) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigurationError, match=r"cannot use .*file/pg: Not a directory.*--data-dir"):
        make_server(tmp_path / "file" / "pg").start()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_is_named_and_leaves_no_half_cluster(tmp_path: Path) -> None:
    script = (
        'mount -t tmpfs -o size=8m none "$1" && "$2" -c "'
        "import sys; from pathlib import Path; from callboard.embedded.postgres import EmbeddedPostgres\n"
        "try: EmbeddedPostgres(Path(sys.argv[1])).start()\n"
        'except Exception as error: print(type(error).__name__, error)" "$1" && ls "$1"'
    )
    # The mount is seen by this process alone and goes with it.
    command = ["unshare", "--mount", "sh", "-c", script, "sh", str(tmp_path), sys.executable]
    result = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    if "permitted" in result.stderr or "denied" in result.stderr:
        pytest.skip(result.stderr)

    assert "ConfigurationError initdb failed" in result.stdout
    assert "No space left on device" in result.stdout
    assert result.stdout.splitlines()[-2:] == ["lock", "password"]


def test_the_log_is_kept_short(tmp_path: Path) -> None:
    log = ServerLog(tmp_path / "postgres.log", most_bytes=100)
    with log.open() as descriptor:
        os.write(descriptor, b"first " * 20)
        log.trim()
        os.write(descriptor, b"second")

    assert (tmp_path / "postgres.log").read_text() == "second"
    assert (tmp_path / "postgres.log.1").read_text() == "first " * 20
