"""``python -m tests.dates``: run the tests at moments that dates go wrong at.

It runs what reads a clock or a calendar in Python, in PostgreSQL or in both: the database, the api, the command line,
the views of history, and what workers and dispatchers do in this process. It leaves out

- ``tests/e2e``, ``tests/embedded``, ``tests/clients`` and what else starts a PostgreSQL of the product's own: its clock
  is the real one, as the product starts it without any variable of the environment. Their rules about dates are those
  of ``tests/db``;
- Chromium, RabbitMQ, and tests in which processes and connections die: they ask for monotonic time;
- tables, documents, the benchmark, streams, and random walks through all verbs and calls: they know no date, and cost
  minutes;
- :data:`FILES`, which compare the clock with the times of files. Those stay real.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from tests.dates.moments import MOMENTS, Moment
from tests.support.dated import build_clock, environment_at

_ROOT: Final = Path(__file__).parents[2]
TESTS: Final = (
    "tests/db", "tests/api", "tests/cli", "tests/contract", "tests/actors/types", "tests/actors/maintenance",
    "tests/actors/dispatch", "tests/actors/jobs/test_bulk.py",
)  # fmt: skip
OWN_POSTGRES: Final = ("tests/cli/test_system.py", "tests/db/sql/test_group_commit.py", "tests/api/test_unavailable.py")
WITHOUT_DATES: Final = (
    "tests/db/transitions/test_model.py", "tests/contract/test_specification.py", "tests/api/live/test_crowd.py",
    "tests/api/jobs/test_stream.py",
)  # fmt: skip
FILES: Final = (
    "tests/db/files/test_rows.py::test_only_old_bytes_without_a_row_are_removed",
    "tests/db/files/test_storage.py::test_lists_what_is_stored",
)


def main() -> int:
    moments = _chosen()
    failed: dict[str, Sequence[str]] = {}
    with tempfile.TemporaryDirectory(prefix="callboard-dates-") as name:
        directory = Path(name)
        directory.chmod(0o755)  # PostgreSQL's user, too, loads the clock
        clock = build_clock(directory)
        for moment in moments:
            print(f"\n{moment.name}: {moment.at:%Y-%m-%d %H:%M} UTC, in {moment.zone}. {moment.reason}", flush=True)
            began = time.monotonic()
            failed[moment.name] = _run(moment, clock, directory / f"{moment.name}.xml")
            print(f"{moment.name} took {time.monotonic() - began:.0f} s", flush=True)
    print()
    for moment_name, tests in failed.items():
        print(f"{moment_name}: {f'{len(tests)} failed' if tests else 'passed'}")
        for test in tests:
            print(f"  {test}")
    return 1 if any(failed.values()) else 0


def _chosen() -> Sequence[Moment]:
    parser = argparse.ArgumentParser(prog="python -m tests.dates", description="Run the tests at other moments.")
    names = [moment.name for moment in MOMENTS]
    parser.add_argument("--moment", action="append", choices=names, help="only this one; repeatable")
    wanted = parser.parse_args().moment or names
    return [moment for moment in MOMENTS if moment.name in wanted]


def _run(moment: Moment, clock: Path, report: Path) -> Sequence[str]:
    """Return the names of the tests that failed, or what else went wrong."""
    left_out = [f"--ignore={path}" for path in (*OWN_POSTGRES, *WITHOUT_DATES)]
    left_out += [f"--deselect={test}" for test in FILES]
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", "-m", "not faults"]
    ended = subprocess.run(
        [*command, f"--junit-xml={report}", *left_out, *TESTS],
        cwd=_ROOT,
        env=os.environ | environment_at(clock, moment.at, moment.zone),
        check=False,
    )
    if ended.returncode == 0:
        return []
    return (report.exists() and _failed(report)) or [f"pytest ended with {ended.returncode}"]


def _failed(report: Path) -> list[str]:
    cases = ET.parse(report).iter("testcase")
    return [f"{case.get('classname')}.{case.get('name')}" for case in cases if _has_failed(case)]


def _has_failed(case: ET.Element) -> bool:
    return case.find("failure") is not None or case.find("error") is not None


if __name__ == "__main__":
    sys.exit(main())
