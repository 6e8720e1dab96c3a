"""Another time of day for tests, their processes and their PostgreSQL: that of the library ``tests/dates/clock.c``.

Its clock is ahead of the system's by a constant, so time goes on as ever.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

_SOURCE: Final = Path(__file__).parents[1] / "dates" / "clock.c"
_NAMES: Final = ("LD_PRELOAD", "DATES_AHEAD")


def build_clock(directory: Path) -> Path:
    """Compile the library into ``directory``, which all users must be able to reach, and return its path.

    Raises:
        OSError, subprocess.CalledProcessError: there is no C compiler; apt-get install gcc libc6-dev brings one.
    """
    library = directory / "clock.so"
    command = ["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", str(library), str(_SOURCE)]
    subprocess.run(command, check=True)
    library.chmod(0o755)
    return library


def environment_at(clock: Path, moment: datetime, zone: str) -> dict[str, str]:
    """Return the variables with which processes that are started now believe that it is ``moment``, in ``zone``."""
    return {"LD_PRELOAD": str(clock), "DATES_AHEAD": f"{moment.timestamp() - time.time():.0f}", "TZ": zone}


def believing_as_this(binaries: Path, directory: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Return a directory with PostgreSQL's programs that believe the same time of day as this process.

    Callboard starts PostgreSQL without any variable of its own environment, so scripts in ``directory`` set them again.
    In the ordinary case, where the time is the real one, these are the programs of ``binaries`` themselves.
    """
    if "DATES_AHEAD" not in environment:
        return binaries
    variables = " ".join(f"{name}={shlex.quote(environment[name])}" for name in _NAMES)
    directory.mkdir()
    directory.chmod(0o755)
    for name in ("postgres", "initdb"):
        script = directory / name
        script.write_text(f'#!/bin/sh\nexec env {variables} {shlex.quote(str(binaries / name))} "$@"\n')
        script.chmod(0o755)
    return directory
