"""Standard input, output and error of a process, which a handler may close or replace."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from contextlib import suppress
from typing import Any, Final

_NAMES: Final = ("stdin", "stdout", "stderr")
#: Copies of the descriptors are at least this high: away from those that a handler may close by their number.
_LEAST_COPY: Final = 64
#: Seconds between two comparisons of what the descriptors lead to: each lets other threads run, which costs a turn.
_COMPARED_EVERY: Final = 0.05


class StandardStreams:
    """The streams as they were when this was constructed."""

    def __init__(self) -> None:
        self._copies: list[int] = []
        for descriptor in range(len(_NAMES)):
            if _identity(descriptor) is None:
                # A process without it would take the next file or connection for it, and write its log there.
                os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
            self._copies.append(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _LEAST_COPY))
        self._identities = [_identity(descriptor) for descriptor in range(len(_NAMES))]
        self._streams = [getattr(sys, name) for name in _NAMES]
        self._compared = -_COMPARED_EVERY
        self._encodings = [(getattr(each, "encoding", None), getattr(each, "errors", None)) for each in self._streams]

    def are_as_before(self) -> bool:
        """Return whether nothing has changed. What takes a descriptor's place is noticed within 50 ms."""
        for descriptor, name in enumerate(_NAMES):
            stream = self._streams[descriptor]
            if getattr(sys, name) is not stream or (stream is not None and _is_closed(stream)):
                return False
            try:
                os.get_blocking(descriptor)  # the cheapest question that only an open one answers
            except OSError:
                return False
        now = time.monotonic()
        if now - self._compared < _COMPARED_EVERY:
            return True
        self._compared = now
        return all(_identity(descriptor) == self._identities[descriptor] for descriptor in range(len(_NAMES)))

    def restore(self) -> list[str]:
        """Undo what has changed; return what had."""
        changed = []
        for descriptor, name in enumerate(_NAMES):
            if _identity(descriptor) != self._identities[descriptor]:
                with suppress(OSError):  # its copy was closed, too
                    os.dup2(self._copies[descriptor], descriptor, inheritable=True)
                changed.append(f"file descriptor {descriptor}")
            stream = self._streams[descriptor]
            if stream is not None and _is_closed(stream):
                encoding, errors = self._encodings[descriptor]
                # Buffered by lines: what a handler prints is seen before the next one closes this, too.
                self._streams[descriptor] = stream = open(  # noqa: SIM115
                    descriptor, "w" if descriptor else "r", 1, encoding=encoding, errors=errors, closefd=False
                )
                setattr(sys, f"__{name}__", stream)
            if getattr(sys, name) is not stream:
                setattr(sys, name, stream)
                changed.append(f"sys.{name}")
        return changed


def _is_closed(stream: Any) -> bool:
    try:
        return bool(stream.closed)
    except ValueError:  # its buffer was detached
        return True


def _identity(descriptor: int) -> tuple[int, int] | None:
    """Return what tells the open file from others; None if the descriptor is closed."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino
