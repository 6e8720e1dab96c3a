"""Imports the modules that define job types. Whatever one of them does on import is an error that names it."""

from __future__ import annotations

import importlib
import sysconfig
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Final

from callboard.actors.types.registry import ENTRY_POINT_GROUP, Registry, registry
from callboard.db.errors import ConfigurationError

#: The modules of Callboard's own job types that are always there.
BUILT_IN: Final = ("callboard.actors.jobs.bulk", "callboard.actors.jobs.table.analyze")
_OURS: Final = Path(__file__).parents[2]
#: Folders of the standard library and of what is installed.
_INSTALLED: Final = {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib", "stdlib", "platstdlib")}


def load_job_types(
    modules: Sequence[str],
    *,
    diagnostics: bool,
    built_in: Sequence[str] = BUILT_IN,
    before_import: Callable[[str], None] = lambda _module: None,
) -> Registry:
    """Import all modules that define job types, and return the job types.

    The modules are the ``built_in`` ones, ``modules``, and the entry points of group ``callboard.jobs`` of all
    installed distributions.

    Args:
        modules: those of ``CALLBOARD_JOB_MODULES``.
        diagnostics: whether the ``diagnostics.*`` job types are among them.
        built_in: modules of Callboard itself.
        before_import: called with the name of each module before its import, which may end the process.

    Raises:
        ConfigurationError: a module cannot be imported, or a job type is malformed or defined twice.
    """
    for module in (*built_in, *(["callboard.actors.jobs.diagnostics"] if diagnostics else []), *modules):
        before_import(module)
        import_module(module, f"CALLBOARD_JOB_MODULES names the module {module!r}, which")
    for entry_point in entry_points(group=ENTRY_POINT_GROUP):
        before_import(entry_point.module)
        import_module(
            entry_point.module, f"The entry point {entry_point.name!r} names the module {entry_point.module!r}, which"
        )
    return registry.select(lambda job_type: diagnostics or not job_type.name.startswith("diagnostics."))


def import_module(name: str, who: str) -> ModuleType:
    """Import a module of somebody else.

    Args:
        name: of the module.
        who: the beginning of the error's sentence: who names the module, up to its predicate.

    Raises:
        ConfigurationError: it cannot be imported, raises, or calls ``sys.exit``. The message has the line of its code.
    """
    try:
        return importlib.import_module(name)
    except (ConfigurationError, KeyboardInterrupt):
        raise
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{who} cannot be imported{_place(error, name)}: {_words(error)}.{_hidden(name)} "
            "Is it installed, or its folder the current directory or on PYTHONPATH?"
        ) from error
    except SyntaxError as error:
        raise ConfigurationError(
            f"{who} is not valid Python, at {error.filename}:{error.lineno}: {error.msg}."
        ) from error
    except SystemExit as error:
        raise ConfigurationError(
            f"{who} called sys.exit({'' if error.code is None else repr(error.code)}) on import{_place(error, name)}. "
            "A program that is imported, too, begins under: if __name__ == '__main__':"
        ) from error
    except BaseException as error:
        raise ConfigurationError(
            f"{who} raised {type(error).__name__} on import{_place(error, name)}: {_words(error)}"
        ) from error


def _place(error: BaseException, module: str) -> str:
    """Return ``, at file:line``: the last line of the module's own code, or of others' that is not installed."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen") and not _is_below(frame.filename, _OURS)
    ]
    own = [frame for frame in frames if not _is_installed(frame.filename, besides=module.partition(".")[0])]
    return f", at {own[-1].filename}:{own[-1].lineno}" if own else ""


def _is_installed(path: str, *, besides: str) -> bool:
    """Return whether a file is of the standard library or a distribution, but not of the package ``besides``."""
    return any(
        _is_below(path, folder) and Path(path).relative_to(folder).parts[0].removesuffix(".py") != besides
        for folder in _INSTALLED
    )


def _is_below(path: str, folder: Path) -> bool:
    return Path(path).is_relative_to(folder)


def _words(error: BaseException) -> str:
    """Return the text of an exception, whatever it does when it is asked."""
    try:
        return " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - code of somebody else
        return "(its text cannot be read)"


def _hidden(name: str) -> str:
    """Return where another module of the same name comes from, if that is why a part of it is not found."""
    top, dot, _ = name.partition(".")
    spec = find_spec(top) if dot else None
    return f" {top!r} is {spec.origin}." if spec is not None and spec.origin is not None else ""
