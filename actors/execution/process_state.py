"""What all code of a process shares, and a handler may change: it is as before when the attempt ends.

A directory, an environment, a locale belong to the process, so a handler in a thread changes them for those beside it,
too. They are restored when *any* attempt of the process ends. See docs/decisions/0014-fences.md.
"""

from __future__ import annotations

import ctypes
import gc
import locale
import logging
import os
import random
import resource
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from callboard.actors.execution.standard_streams import StandardStreams


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece of the state."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]
    told: bool = True
    """Whether a change is worth a line in the log; not if importing a library makes it."""


def _directory() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - one system call, after every attempt
    except OSError:  # it was removed
        return None


def _environment() -> dict[Any, Any]:
    # Without decoding each variable, which would cost more than all the rest.
    return dict(os.environ._data)  # type: ignore[attr-defined]  # noqa: SLF001


def _set_environment(wanted: dict[Any, Any]) -> None:
    decoded = {os.environ.decodevalue(name): os.environ.decodevalue(value) for name, value in wanted.items()}
    for name in os.environ.keys() - decoded.keys():
        del os.environ[name]
    os.environ.update(decoded)


def _set_path(wanted: list[str]) -> None:
    sys.path = wanted.copy()


def _set_filters(wanted: list[Any]) -> None:
    warnings.resetwarnings()
    warnings.filters.extend(wanted)  # type: ignore[attr-defined]


def _logging() -> tuple[int, int, list[logging.Handler]]:
    root = logging.getLogger()
    return root.manager.disable, root.level, list(root.handlers)


def _set_logging(wanted: tuple[int, int, list[logging.Handler]]) -> None:
    root = logging.getLogger()
    root.manager.disable, level, root.handlers[:] = wanted
    root.setLevel(level)


#: Of the C library, called without letting another thread run: that would cost attempts that end at once their turn.
_getcwd: Final = ctypes.PyDLL(None).getcwd
_getcwd.restype = ctypes.c_void_p


def _is_in(directory: bytes) -> bool:
    """Return whether this is the working directory. A longer path does not fit and is none."""
    path = ctypes.create_string_buffer(len(directory) + 1)
    return bool(_getcwd(path, len(path))) and path.value == directory


#: Of every process. Cheap to read: this is done after every attempt.
_PIECES: Final = (
    _Piece("working directory", _directory, os.chdir),
    _Piece("os.environ", _environment, _set_environment),
    _Piece("locale", lambda: locale.setlocale(locale.LC_ALL), lambda name: locale.setlocale(locale.LC_ALL, name)),
    _Piece("sys.path", lambda: list(sys.path), _set_path),
    _Piece("recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    _Piece("switch interval", sys.getswitchinterval, sys.setswitchinterval),
    _Piece("default timeout of sockets", socket.getdefaulttimeout, socket.setdefaulttimeout),
    _Piece("garbage collection", gc.isenabled, lambda enabled: gc.enable() if enabled else gc.disable()),
    _Piece("logging", _logging, _set_logging),
    _Piece("warnings filters", lambda: list(warnings.filters), _set_filters, told=False),
    _Piece(
        "blocked signals",
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        lambda blocked: signal.pthread_sigmask(signal.SIG_SETMASK, blocked),
    ),
)


#: What is compared without a call of its own, as reading makes a copy or lets another thread run.
_COMPARED_IN_PLACE: Final = frozenset({"working directory", "os.environ", "sys.path", "logging", "warnings filters"})


def _limits() -> list[tuple[int, int]]:
    return [resource.getrlimit(limit) for limit in _LIMITS]


def _signal_handlers() -> list[object]:
    return [signal.getsignal(number) for number in signal.valid_signals()]


_LIMITS: Final = tuple(
    getattr(resource, name)
    for name in ("RLIMIT_NOFILE", "RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_FSIZE", "RLIMIT_CPU", "RLIMIT_STACK")
)

#: Only of a process with one handler, in its main thread. They are not undone: such a process is not used again.
_LASTING: Final[tuple[tuple[str, Callable[[], Any]], ...]] = (
    ("signal handlers", _signal_handlers),
    ("timer", lambda: signal.getitimer(signal.ITIMER_REAL)[0] > 0),
    ("resource limits", _limits),
    ("priority", lambda: os.getpriority(os.PRIO_PROCESS, 0)),
)


def _differs(read: Callable[[], Any], wanted: object) -> bool:
    try:
        return bool(read() != wanted)
    except Exception:  # noqa: BLE001 - what a handler put there raises when it is compared
        return True


class ProcessState:
    """The state of this process that handlers may change, as it was when this was constructed."""

    def __init__(self, *, one_handler: bool = False) -> None:
        """Read the state, once all that belongs to the process is loaded.

        Args:
            one_handler: this process runs one handler at a time, in its main thread, which can change more.
        """
        self._lock = threading.Lock()
        self._pieces = [(piece, piece.read()) for piece in _PIECES]
        self._wanted = {piece.name: wanted for piece, wanted in self._pieces}
        self._others = [(piece.read, wanted) for piece, wanted in self._pieces if piece.name not in _COMPARED_IN_PLACE]
        self._lasting = [(name, read, read()) for name, read in _LASTING if one_handler]
        self._one_handler = one_handler
        self._streams = StandardStreams()
        # There is no way only to read it. Strict for that moment, as other threads may make files.
        self.umask: Final = os.umask(0o077)
        os.umask(self.umask)
        self.directory: Final = _directory() or "/"
        self._encoded_directory: Final = os.fsencode(self.directory)
        self.environment: Final = dict(os.environ)
        self.path: Final = [os.path.join(self.directory, entry) for entry in sys.path]  # noqa: PTH118
        """``sys.path``, absolute."""

    def restore(self) -> tuple[list[str], list[str]]:
        """Undo what has changed; return the names of what had, and of what cannot be undone."""
        # Without the lock: nearly all attempts change nothing, and threads that end at once would queue for it.
        if not self._one_handler and self._is_as_before():
            return [], []
        changed: list[str] = []
        lasting: list[str] = []
        with self._lock:
            for piece, wanted in self._pieces:
                if not _differs(piece.read, wanted):
                    continue
                try:
                    piece.write(wanted)
                except Exception:  # noqa: BLE001 - the directory of the worker was removed, a locale is gone
                    lasting.append(piece.name)
                if piece.told:
                    changed.append(piece.name)
            if os.umask(self.umask) != self.umask:
                changed.append("umask")
            changed += self._streams.restore()
            if self._one_handler:
                lasting += [name for name, read, wanted in self._lasting if _differs(read, wanted)]
                random.seed()
        return changed + [name for name in lasting if name not in changed], lasting

    def _is_as_before(self) -> bool:
        """Return whether every piece is as it was, without copying what is only compared."""
        root = logging.getLogger()
        try:
            return (
                os.environ._data == self._wanted["os.environ"]  # type: ignore[attr-defined]  # noqa: SLF001
                and sys.path == self._wanted["sys.path"]
                and warnings.filters == self._wanted["warnings filters"]
                and (root.manager.disable, root.level, root.handlers) == self._wanted["logging"]
                and _is_in(self._encoded_directory)
                and not any(read() != wanted for read, wanted in self._others)
                and os.umask(self.umask) == self.umask
                and self._streams.are_as_before()
            )
        except Exception:  # noqa: BLE001 - what a handler put there raises when it is compared
            return False
