"""Where a process looks for job modules: behind all that is installed, so that a project's own names hide no library.

Only the standard library is used here, as this comes before any other import of a process.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

_REQUIREMENT: Final = re.compile(r"[A-Za-z0-9._-]+")
_OPTIONAL: Final = re.compile(r";.*\bextra\b")


def settle_import_path() -> list[str]:
    """Put the current directory last on ``sys.path``, and other folders that hide a library which Callboard needs.

    All processes of a deployment do so, and find the same modules whichever way they were started.

    Returns:
        A sentence for each folder of ``PYTHONPATH`` that hid something, for the user.
    """
    here = str(Path.cwd())
    if not sys.flags.safe_path and sys.path and sys.path[0] in {"", here}:
        del sys.path[0]  # what python -m puts there
    said = []
    for folder in list(_before_libraries()):
        twice = _modules_in(folder) & _modules_behind(folder)
        if twice and (hidden := sorted(twice & _needed(folder))):
            sys.path.remove(folder)
            sys.path.append(folder)
            said.append(
                f"{folder} on PYTHONPATH has a module {hidden[0]!r}, and so has Python or a library that Callboard "
                "needs. The folder's modules are therefore looked for last."
            )
    if not {"", here} & set(sys.path):
        sys.path.append(here)
    return said


def _before_libraries() -> Iterator[str]:
    """Yield the folders of ``sys.path`` before the standard library's: those of ``PYTHONPATH``."""
    library = str(Path(os.__file__).parent)
    yield from sys.path[: sys.path.index(library)] if library in sys.path else ()


def _modules_behind(folder: str) -> set[str]:
    return set().union(*(_modules_in(later) for later in sys.path[sys.path.index(folder) + 1 :]))


def _modules_in(folder: str) -> set[str]:
    """Return the names of the modules and packages in a folder that hide those of later ones."""
    try:
        paths = list(Path(folder).iterdir())
    except OSError:  # such as a zip file
        return set()
    return {
        path.name.partition(".")[0]
        for path in paths
        if path.suffix in {".py", ".so"} or (path / "__init__.py").exists()
    }


def _needed(folder: str) -> set[str]:
    """Return the modules of Python and of the distributions that Callboard requires, but for those in ``folder``."""
    required: set[str] = set()
    _require("callboard", required)
    return set(sys.stdlib_module_names).union(
        *(_modules_of(name) for name in required if not _is_in(name, folder) and name != "callboard")
    )


def _require(name: str, required: set[str]) -> None:
    if (plain := _normal(name)) in required:
        return
    try:
        requirements = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return
    required.add(plain)
    for requirement in requirements:
        if (plain == "callboard" or not _OPTIONAL.search(requirement)) and (match := _REQUIREMENT.match(requirement)):
            _require(match[0], required)


def _is_in(distribution: str, folder: str) -> bool:
    return Path(str(metadata.distribution(distribution).locate_file(""))).resolve() == Path(folder).resolve()


def _modules_of(distribution: str) -> set[str]:
    files = metadata.files(distribution) or []
    return {file.parts[0].partition(".")[0] for file in files if file.suffix in {".py", ".so"}}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
