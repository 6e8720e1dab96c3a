"""What is built holds what the tree does, under one name."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import sys
import tarfile
from email.parser import BytesParser
from importlib.metadata import files, version
from pathlib import Path

import pytest

from callboard import __version__
from tests.packaging.builds import LINKS, ROOT, Builds, expected_in_wheel, in_sdist, in_wheel, tree


@pytest.fixture(params=["wheel_of_sdist", "wheel_of_tree"])
def wheel(request: pytest.FixtureRequest, builds: Builds) -> dict[str, bytes]:
    return in_wheel(getattr(builds, request.param))


def test_the_source_archive_is_what_git_tracks(builds: Builds) -> None:
    built = in_sdist(builds.sdist)
    assert BytesParser().parsebytes(built.pop("PKG-INFO"))["Version"] == __version__
    assert built.keys() == tree().keys()
    assert built == tree()


def test_make_lays_the_links_that_a_source_archive_lacks(builds: Builds, tmp_path: Path) -> None:
    with tarfile.open(builds.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    [unpacked] = tmp_path.iterdir()
    subprocess.run(["make", "--silent", "-C", unpacked, *LINKS], check=True)
    assert {link: (unpacked / link).resolve() for link in LINKS} == {link: unpacked / Path(link).name for link in LINKS}


def test_an_index_would_take_it(builds: Builds) -> None:
    check = [sys.executable, "-m", "twine", "check", "--strict", str(builds.sdist), str(builds.wheel_of_sdist)]
    checked = subprocess.run(check, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_wheel_holds_the_packages_and_the_migrations(wheel: dict[str, bytes]) -> None:
    code = {name: content for name, content in wheel.items() if ".dist-info/" not in name}
    assert code.keys() == expected_in_wheel().keys()
    assert code == expected_in_wheel()


def test_a_wheel_brings_one_name(wheel: dict[str, bytes]) -> None:
    assert {name.split("/")[0] for name in wheel} == {"callboard", f"callboard-{__version__}.dist-info"}


@pytest.mark.parametrize(
    "name",
    [
        "callboard/py.typed",
        "callboard/js/callboard.js",
        "callboard/js/callboard.d.ts",
        "callboard/js/use-async-job.js",
        "callboard/db/migrations/env.py",
        "callboard/db/migrations/script.py.mako",
        "callboard/db/migrations/versions/0001_jobs_and_history.py",
        "callboard/db/migrations/sql/0006_analytics/01_schema.sql",
    ],
)
def test_a_wheel_has_what_is_not_code(wheel: dict[str, bytes], name: str) -> None:
    assert name in wheel


def test_an_editable_install_has_no_copy_of_the_code() -> None:
    """A copy would be what runs, whatever is changed in the checkout; or would hide that a file is missing there."""
    installed = files("callboard")
    assert installed is not None
    assert {path.parts[0] for path in installed} == {"..", "_callboard.pth", f"callboard-{__version__}.dist-info"}


def test_an_editable_install_makes_one_name_importable(tmp_path: Path) -> None:
    """Else a user's own ``db`` or ``api`` in the same environment would be hidden by the folders of the checkout."""
    code = "import importlib.util; print(*(n for n in ('api', 'actors', 'db', 'tests') if importlib.util.find_spec(n)))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
    subprocess.run([sys.executable, "-c", "import callboard.api.app"], cwd=tmp_path, check=True)


def test_one_file_says_the_version(wheel: dict[str, bytes]) -> None:
    said = runpy.run_path(str(ROOT / "db" / "version.py"))["VERSION"]
    metadata = BytesParser().parsebytes(wheel[f"callboard-{said}.dist-info/METADATA"])
    assert (metadata["Version"], __version__) == (said, said)
    assert version("callboard") == said, "the version has changed: run 'make install-dev'"


def test_the_changelog_begins_with_this_version() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert re.fullmatch(rf"\[{re.escape(__version__)}\] - (Unreleased|\d{{4}}-\d\d-\d\d)", headings[0])


@pytest.mark.parametrize("tag", ["", __version__, f"v{__version__}.dev1", "v", 'v"; false; "'])
def test_a_tag_of_another_version_is_not_released(tag: str) -> None:
    checked = subprocess.run(
        ["make", "--silent", "check-tag", f"TAG={tag}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode != 0
    assert f"db/version.py says {__version__}" in checked.stderr


@pytest.mark.parametrize(("day", "released"), [("Unreleased", False), ("2026-12-31", True)])
def test_a_version_is_released_once_the_changelog_gives_it_a_day(tmp_path: Path, day: str, released: bool) -> None:
    (tmp_path / "db").mkdir()
    shutil.copy(ROOT / "db" / "version.py", tmp_path / "db")
    (tmp_path / "CHANGELOG.md").write_text(f"## [{__version__}] - {day}\n")
    checked = subprocess.run(
        ["make", "--silent", "-f", ROOT / "Makefile", "check-tag", f"TAG=v{__version__}"], cwd=tmp_path, check=False
    )
    assert (checked.returncode == 0) == released
