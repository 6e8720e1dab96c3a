"""The processes that are measured: started apart from the one that measures, and asked for the CPU time they took."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_STOP_TIMEOUT = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")


class BenchFailed(Exception):
    """Something that is measured did not do its work."""


class Child:
    """A Python module that runs in a process of its own until it is stopped."""

    def __init__(
        self, module: str, *arguments: str, environment: Mapping[str, str], log: Path, python: str = sys.executable
    ) -> None:
        """``environment`` is all it gets beside what Python itself needs; its output goes to ``log``."""
        self._module = module
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [python, "-m", module, *arguments],
                env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,  # a Ctrl-C at the terminal is for the benchmark, which then stops this in order
                text=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        pipe = _pipe(self._process.stdin)
        pipe.write(f"{line}\n")
        pipe.flush()

    def answer(self) -> str:
        """Return the next line of its standard output.

        Raises:
            BenchFailed: it ended instead; the message has the end of its log.
        """
        line = _pipe(self._process.stdout).readline()
        if not line:
            raise self.failure("ended")
        return line.strip()

    def check(self) -> None:
        """Return if it runs.

        Raises:
            BenchFailed: it has ended.
        """
        if self._process.poll() is not None:
            raise self.failure(f"ended with exit code {self._process.returncode}")

    def failure(self, what: str) -> BenchFailed:
        """Return an error that shows the end of the log."""
        tail = self._log.read_text(errors="replace")[-2000:]
        return BenchFailed(f"{self._module} {what}; its log ends with:\n{tail}")

    def stop(self) -> None:
        """Ask it to end, and end it if it does not."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            _pipe(pipe).close()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None  # all are pipes, see __init__
    return pipe


@contextmanager
def stopping(children: Sequence[Child]) -> Iterator[Sequence[Child]]:
    """Stop the children at the end of the block."""
    try:
        yield children
    finally:
        for child in children:
            child.stop()


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process and its descendants have used, those included that it has waited for."""
    total = 0.0
    for each in _family(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            fields = (each / "stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15])) / _TICKS
    return total


def memory_bytes(pid: int) -> int:
    """Return the memory of a process and its descendants; what they share counts once."""
    own, shared = 0, 0
    for each in _family(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB", (each / "smaps_rollup").read_text(), re.MULTILINE))
            private = int(sizes["Private_Clean"]) + int(sizes["Private_Dirty"])
            own += private
            shared = max(shared, int(sizes["Rss"]) - private)
    return (own + shared) * 1024


def _family(pid: int) -> Iterator[Path]:
    waiting = [pid]
    while waiting:
        each = Path("/proc") / str(waiting.pop())
        yield each
        with suppress(FileNotFoundError, ProcessLookupError):
            for task in (each / "task").iterdir():
                waiting.extend(map(int, (task / "children").read_text().split()))
