"""Tries the job modules in a process of their own, before others are started that need them.

What a module does on import (end the process, start threads, handle signals, fill the memory) stays there.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Final, Self

import structlog

from callboard.actors.types.loading import BUILT_IN, load_job_types
from callboard.db.errors import ConfigurationError
from callboard.db.settings import Settings
from callboard.processes.signals import StopSignal
from callboard.processes.supervisor import start_child
from callboard.processes.watchdog import Watchdog

_log = structlog.get_logger(__name__)

_POLL_INTERVAL: Final = 0.02
#: Seconds after which the log says, again and again, which module is being imported.
_LONG: Final = 30.0


class JobTypesTrial:
    """A process that imports the job modules and ends. A context manager, which ends it early if need be."""

    def __init__(self, environment: Mapping[str, str], *, built_in: bool) -> None:
        """
        Args:
            environment: variables for the process, beside those of this one.
            built_in: whether to import Callboard's own job modules, too, which takes longer than all else.
        """
        self.environment = environment
        self._built_in = built_in
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start it."""
        with ExitStack() as stack:
            self._output = stack.enter_context(tempfile.TemporaryFile())
            watchdog = Watchdog()
            stack.callback(watchdog.close)
            self._readable, writable = os.pipe()
            stack.callback(os.close, self._readable)
            os.set_blocking(self._readable, False)
            with os.fdopen(writable, "wb"):
                options = {"report": writable, "built_in": self._built_in}
                self._process = start_child(
                    "job_types", options, watchdog, self.environment, report=writable, output=self._output
                )
            stack.callback(self._end)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()

    def queues(self, stop: StopSignal) -> Sequence[str] | None:
        """Wait for its end; return the queues of the job types, or None if ``stop`` was set before.

        Raises:
            ConfigurationError: a module cannot be imported, or a job type is malformed; or the process ended on import.
        """
        received = b""
        warn_at = time.monotonic() + _LONG
        while (running := self._process.poll() is None) and not stop.wait(_POLL_INTERVAL):
            received += self._read()
            if time.monotonic() > warn_at:
                warn_at += _LONG
                _log.warning("import_takes_long", module=_last(received).get("module"))
        if running:
            return None
        last = _last(received + self._read())
        if "error" in last:
            raise ConfigurationError(last["error"])
        if "queues" not in last:
            raise ConfigurationError(self._death(last.get("module", "")))
        queues: Sequence[str] = last["queues"]
        return queues

    def _read(self) -> bytes:
        try:
            return os.read(self._readable, 2**20)
        except BlockingIOError:
            return b""

    def _death(self, module: str) -> str:
        code = self._process.returncode
        how = f"with exit code {code}" if code >= 0 else f"by signal {-code}"
        self._output.seek(0)
        lines = self._output.read().decode(errors="replace").strip().splitlines()
        said = f" Its last line was: {lines[-1]}" if lines else ""
        return f"The module {module!r} of CALLBOARD_JOB_MODULES ended its process on import, {how}.{said}"


def try_job_types(settings: Settings, *, report: int, built_in: bool) -> int:
    """Import the job modules, and write what there is to say about it to the descriptor ``report``, as JSON lines."""

    def say(what: Mapping[str, Any]) -> None:
        os.write(report, json.dumps(what).encode() + b"\n")

    try:
        registry = load_job_types(
            settings.job_modules,
            diagnostics=settings.diagnostics,
            built_in=BUILT_IN if built_in else (),
            before_import=lambda module: say({"module": module}),
        )
    except ConfigurationError as error:
        say({"error": str(error)})
    else:
        say({"queues": registry.queues})
    # Threads that a module has started need not end.
    os._exit(0)


def _last(received: bytes) -> Mapping[str, Any]:
    lines = received.splitlines()
    last: Mapping[str, Any] = json.loads(lines[-1]) if lines else {}
    return last
