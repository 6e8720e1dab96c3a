"""Folders of the packages: each has a docstring, and none has too many modules."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import PurePosixPath

from tests.architecture.source import modules

#: Most modules of one folder, without ``__init__`` and ``__main__``. The largest has 14 (api/wire): 20 lets it grow,
#: and makes a flat folder be divided before it has many subjects.
MOST_MODULES = 20


def folder_of(path: str) -> str:
    return str(PurePosixPath(path).parent)


def test_every_folder_has_a_docstring() -> None:
    inits = {folder_of(path): tree for path, tree in modules().items() if path.endswith("/__init__.py")}
    folders = {folder_of(path) for path in modules()}
    undescribed = {folder for folder in folders if folder not in inits or not ast.get_docstring(inits[folder])}

    assert undescribed == set()


def test_no_folder_has_too_many_modules() -> None:
    counts = Counter(folder_of(path) for path in modules() if not path.endswith(("/__init__.py", "/__main__.py")))
    too_large = {folder: count for folder, count in counts.items() if count > MOST_MODULES}

    assert too_large == {}
