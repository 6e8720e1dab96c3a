from __future__ import annotations

import os
import tempfile
from pathlib import Path

import psycopg
import pytest

from tests.services.postgres import private_postgres, system_binaries


@pytest.mark.parametrize("system", [False, True], ids=["wheel", "system"])
def test_a_private_server_leaves_nothing_behind(system: bool, open_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(open_dir))
    try:
        binaries = system_binaries() if system else None
    except LookupError as absent:
        pytest.skip(str(absent))

    with private_postgres(binaries) as url, psycopg.connect(url) as connection:
        row = connection.execute("SELECT current_setting('fsync'), current_setting('server_encoding')").fetchone()
        assert row == ("off", "UTF8")
        assert len(list(open_dir.iterdir())) == 1

    assert list(open_dir.iterdir()) == []


def test_what_a_killed_run_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with private_postgres():
        (in_use,) = tmp_path.iterdir()
        left = tmp_path / f"{in_use.name}-left"
        left.mkdir()
        just_made = tmp_path / f"{in_use.name}-just-made"
        just_made.mkdir()
        for directory in (in_use, left):
            os.utime(directory, (0, 0))

        with private_postgres():
            assert in_use.exists()
            assert just_made.exists()
            assert not left.exists()
