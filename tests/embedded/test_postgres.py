from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from callboard.embedded.account import server_account
from callboard.embedded.log import ServerLog
from callboard.embedded.postgres import EmbeddedPostgres
from db.errors import ConfigurationError, Unavailable
from tests.embedded.supervisor import await_supervisor, server_processes, supervisor_process
from tests.services.postgres import system_binaries

NOBODY = 65534

MakeServer = Callable[..., EmbeddedPostgres]


@pytest.fixture
def nobodys_dir() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="callboard-nobody-"))
    os.chown(directory, NOBODY, NOBODY)
    yield directory
    shutil.rmtree(directory)


def reachable_python() -> str:
    """An interpreter of this version that every user may run: the one of the tests may lie below /root."""
    name = f"python3.{sys.version_info.minor}"
    for python in (sys.executable, shutil.which(name, path=os.defpath)):
        try:
            subprocess.run([python or "", "-c", ""], check=True, user=NOBODY, extra_groups=[], cwd="/")
        except OSError:
            continue
        return str(python)
    pytest.skip(f"no {name} that an unprivileged user can run")


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
    command_lines = [Path(f"/proc/{pid}/cmdline").read_text() for pid in server_processes(tmp_path)]
    assert command_lines
    assert not any(password in line for line in command_lines)
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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_as_an_ordinary_user(nobodys_dir: Path) -> None:
    with supervisor_process(nobodys_dir / "pg", python=reachable_python(), user=NOBODY) as process:
        running = await_supervisor(process)
        assert running.uid == NOBODY
        with psycopg.connect(running.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    assert process.returncode == 0

    # Root takes the directory over, and the server stays its owner's.
    server = EmbeddedPostgres(nobodys_dir / "pg", durable=False)
    try:
        with psycopg.connect(server.start()) as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (7,)
        assert Path(f"/proc/{server.pid}").stat().st_uid == NOBODY
    finally:
        server.stop()

    # And back: what root wrote is the owner's.
    with supervisor_process(nobodys_dir / "pg", python=reachable_python(), user=NOBODY) as process:
        await_supervisor(process)
    assert process.returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_ordinary_user_in_roots_directory_is_told_so(nobodys_dir: Path) -> None:
    roots = nobodys_dir / "roots"
    roots.mkdir()

    with supervisor_process(roots, python=reachable_python(), user=NOBODY) as process:
        _, errors = process.communicate(timeout=30)

    assert f"cannot use {roots}/lock: Permission denied" in errors


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user always reaches its own directory")
def test_root_in_a_directory_that_others_cannot_reach(tmp_path: Path, make_server: MakeServer) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = make_server(closed / "pg")

    with psycopg.connect(server.start()) as connection:
        connection.execute("SELECT pg_reload_conf()")

    owner = Path(f"/proc/{server.pid}").stat().st_uid
    assert owner == server_account().uid != 0
    assert (closed / "pg" / "cluster").stat().st_uid == owner
    assert [path.stat().st_uid for path in (closed, closed / "pg", closed / "pg" / "password")] == [0, 0, 0]
    assert closed.stat().st_mode & 0o777 == 0o700


def test_the_log_is_kept_short(tmp_path: Path) -> None:
    log = ServerLog(tmp_path / "postgres.log", most_bytes=100)
    with log.open() as descriptor:
        os.write(descriptor, b"first " * 20)
        log.trim()
        os.write(descriptor, b"second")

    assert (tmp_path / "postgres.log").read_text() == "second"
    assert (tmp_path / "postgres.log.1").read_text() == "first " * 20
