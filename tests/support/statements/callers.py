"""Who calls a function of ``callboard.db``, as the source says it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import PurePosixPath

from tests.architecture.source import modules


def callers_of(function: Callable[..., object]) -> Sequence[str]:
    """Return the folders in whose modules the function is named, other than its own module."""
    return sorted(
        {
            PurePosixPath(path).parent.as_posix()
            for path in modules()
            for package, name in _named_in(path)
            # A package hands on what its modules have.
            if name == function.__name__ and f"{function.__module__}.".startswith(f"{package}.")
        }
    )


@cache
def _named_in(path: str) -> frozenset[tuple[str, str]]:
    """Return what a module names of others: the package, and what is in it."""
    return frozenset(_names(modules()[path])) if not path.endswith("__init__.py") else frozenset()


def _names(tree: ast.Module) -> Iterator[tuple[str, str]]:
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield node.module, alias.name
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in known:
            yield known[node.value.id], node.attr
