"""What is built of this tree, and what should be in it."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]

#: Where the folders of a checkout are in a wheel.
_PLACES: Final = {
    "callboard/": "callboard/",
    "api/": "callboard/api/",
    "actors/": "callboard/actors/",
    "db/": "callboard/db/",
    "alembic/": "callboard/db/migrations/",
}
#: They stand in a checkout alone.
LINKS: Final = {"callboard/api", "callboard/actors", "callboard/db", ".editable/callboard"}


@dataclass(frozen=True)
class Builds:
    """The paths of what was built."""

    sdist: Path
    wheel_of_sdist: Path
    wheel_of_tree: Path

    @classmethod
    def make(cls, directory: Path) -> Builds:
        """Build the source archive, a wheel from it, and one from the tree. Takes some three seconds."""
        # With the backend of this environment: it is the locked one, and another would have to be fetched.
        build = [sys.executable, "-m", "build", "--no-isolation"]
        released, wheel = directory / "released", directory / "of-the-tree"
        for options in (["--outdir", str(released)], ["--wheel", "--outdir", str(wheel)]):
            built = subprocess.run(
                [*build, *options, str(ROOT)], capture_output=True, text=True, timeout=120, check=False
            )
            assert built.returncode == 0, built.stdout + built.stderr
        [sdist], [from_sdist], [from_tree] = released.glob("*.tar.gz"), released.glob("*.whl"), wheel.glob("*.whl")
        return cls(sdist, from_sdist, from_tree)


def tree() -> dict[str, bytes]:
    """Return the files of this checkout that git tracks, or would if they were added; links left out."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout: an unpacked source archive cannot tell what git tracks")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    names = set(listed.stdout.split("\0")) - {""} - LINKS
    # One that was removed, but not yet from git, is not of the tree.
    return {name: (ROOT / name).read_bytes() for name in names if (ROOT / name).is_file()}


def expected_in_wheel() -> dict[str, bytes]:
    """Return what a wheel should have, its metadata apart."""
    return {
        place + name.removeprefix(folder): content
        for name, content in tree().items()
        for folder, place in _PLACES.items()
        if name.startswith(folder)
    }


def in_wheel(wheel: Path) -> dict[str, bytes]:
    """Return all files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist() if not info.is_dir()}


def in_sdist(sdist: Path) -> dict[str, bytes]:
    """Return all files of a source archive, by their paths below its one folder."""
    found = {}
    with tarfile.open(sdist) as archive:
        for member in archive:
            content = archive.extractfile(member)  # follows links, so that one is not taken for nothing
            if content is not None:
                folder, _, name = member.name.partition("/")
                assert f"{folder}.tar.gz" == sdist.name
                found[name] = content.read()
    return found
