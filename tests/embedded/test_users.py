from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from callboard.embedded.account import server_account
from callboard.embedded.postgres import EmbeddedPostgres
from tests.embedded.supervisor import await_supervisor, supervisor_process

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
