"""Stopping in the middle, progress, memory, and what a job leaves behind."""

from __future__ import annotations

import ctypes
import json
import re
import subprocess
import sys
import textwrap
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest

from callboard.actors.jobs.table.analyze import analyze
from callboard.actors.jobs.table.engine import Engine
from callboard.actors.jobs.table.models import AnalyzeTable
from callboard.db.errors import ConfigurationError

FILE = "019aa1f0-7c00-7000-8000-000000000001"
WANTED = AnalyzeTable.model_validate({"file": FILE})
BOUND = 1.0
"""Seconds from the wish to stop to the end of the work."""


class Stop(BaseException):
    """Stands where the runner's own interrupt comes."""


def write_rows(path: Path, rows: int, filler: int = 40) -> None:
    """Write rows that are all different, with values in no order."""
    text = "x" * filler
    with path.open("w") as file:
        file.write("id,ref,price,text\n")
        for number in range(rows):
            file.write(f"{number},{number * 2654435761 % 2**32:08x},{number * 7919 % 99991}.5,{text}{number}\n")


@pytest.fixture(scope="module")
def long_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "long.csv"
    write_rows(path, 400_000)
    return path


def assert_nothing_left(scratch: Path) -> None:
    assert list(scratch.iterdir()) == []
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("table-analyze")]


@pytest.mark.parametrize("step", ["checking", "reading", "columns", "duplicates"])
def test_an_interrupt_in_any_step_ends_the_work(run: Any, scratch: Path, long_table: Path, step: str) -> None:
    run.path = long_table
    reports: list[float] = []

    def stop(report: Any) -> None:
        if report.step == step:
            reports.append(time.monotonic())
            raise Stop

    run.on_report = stop
    with pytest.raises(Stop):
        analyze(WANTED, run)

    assert time.monotonic() - reports[0] < BOUND
    assert_nothing_left(scratch)


LONG_QUERIES = {
    "aggregate": "SELECT sum(hash(range)) FROM range(1000000000000)",
    "join": "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range + b.range = 7",
    "sort": "CREATE TABLE t AS SELECT hash(range) AS h FROM range(200000000) ORDER BY h",
    "group": "CREATE TABLE t AS SELECT hash(range) AS h FROM range(200000000) GROUP BY ALL",
}


@pytest.mark.parametrize("query", LONG_QUERIES)
def test_a_long_query_is_stopped_and_watched(tmp_path: Path, query: str) -> None:
    polls: list[float] = []

    def watch(share: float) -> None:
        assert 0 <= share <= 1
        polls.append(time.monotonic())
        if len(polls) == 10:
            raise Stop

    with pytest.raises(Stop), Engine(tmp_path, memory="128MiB") as engine:
        engine.query(LONG_QUERIES[query], watch=watch)

    assert time.monotonic() - polls[-1] < BOUND
    assert max(later - earlier for earlier, later in pairwise(polls)) < BOUND
    assert not (tmp_path / "spill").exists() or list((tmp_path / "spill").iterdir()) == []


def test_an_exception_from_another_thread_ends_the_work(tmp_path: Path) -> None:
    """The way a handler is stopped that never asks."""
    started = threading.Event()
    ended: list[BaseException] = []

    def handler() -> None:
        try:
            with Engine(tmp_path) as engine:
                engine.query(LONG_QUERIES["aggregate"], watch=lambda share: started.set())
        except Stop as stop:
            ended.append(stop)

    thread = threading.Thread(target=handler)
    thread.start()
    assert started.wait(10)
    assert thread.ident is not None
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Stop)) == 1
    thread.join(BOUND + 1)

    assert len(ended) == 1


def test_progress_is_real_work_and_only_grows(run: Any, scratch: Path) -> None:
    write_rows(run.path, 60_000)
    size = run.path.stat().st_size

    analyze(WANTED, run)

    reports = run.reports
    assert len(reports) >= 20
    assert all(report.total == 100 for report in reports)
    assert all(earlier.current <= later.current for earlier, later in pairwise(reports))
    assert (reports[0].current < 5, reports[-1].current) == (True, 100)
    assert list(dict.fromkeys(report.step for report in reports)) == ["checking", "reading", "columns", "duplicates"]
    last = {report.step: report.message for report in reports}
    assert last == {
        "checking": f"{size:,} of {size:,} bytes checked",
        "reading": f"{size:,} of {size:,} bytes read",
        "columns": "Column 4 of 4: text",
        "duplicates": "60,000 of 60,000 rows compared",
    }
    assert_nothing_left(scratch)


def test_reading_is_measured_while_it_goes_on(run: Any, long_table: Path) -> None:
    run.path = long_table

    analyze(WANTED, run)

    amounts = [
        int(re.sub(r" of .*|,", "", report.message)) for report in run.reports if report.step in {"checking", "reading"}
    ]
    between = {amount for amount in amounts if 0 < amount < long_table.stat().st_size}
    assert len(between) > 20


def test_the_engine_reads_no_other_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    (tmp_path / "scratch").mkdir()

    def ignore(share: float) -> None: ...

    with Engine(tmp_path / "scratch") as engine:
        for statement in (
            f"SELECT * FROM read_csv('{secret}')",
            f"COPY (SELECT 1) TO '{tmp_path / 'out.csv'}'",
            f"ATTACH '{tmp_path / 'other.duckdb'}'",
            "SELECT * FROM read_csv('http://127.0.0.1:9/x.csv')",
            "INSTALL httpfs",
            "SET enable_external_access = true",
            "SET memory_limit = '64GB'",
        ):
            with pytest.raises(duckdb.Error):
                engine.query(statement, watch=ignore)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scratch", "secret.csv"]


def test_file_names_are_no_patterns(run: Any, tmp_path: Path) -> None:
    for name in ("*.csv", "a[b]?.csv", "x'; DROP TABLE records; --"):
        run.path = tmp_path / name
        run.path.write_text("a,b\n1,2\n")

        assert analyze(WANTED, run).rows == 1


def test_without_duckdb_the_way_out_is_named(run: Any, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run.path.write_text("a\n1\n")
    monkeypatch.setitem(sys.modules, "duckdb", None)

    with pytest.raises(ConfigurationError, match=re.escape("Install callboard[tables] where workers run.")):
        analyze(WANTED, run)
    assert_nothing_left(scratch)


def test_registering_needs_no_duckdb() -> None:
    code = "import sys; import callboard.actors.jobs.table.analyze; sys.exit('duckdb' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


MEMORY = textwrap.dedent("""
    import json, resource, sys
    from pathlib import Path
    from callboard.actors.jobs.table.analyze import analyze_file
    from callboard.actors.jobs.table.models import AnalyzeTable

    class Quiet:
        def progress(self, *args, **kwargs): pass

    order = AnalyzeTable.model_validate({"file": sys.argv[2]})
    analyze_file(Path(sys.argv[1]).with_name("small.csv"), order, Quiet(), memory="128MiB")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = analyze_file(Path(sys.argv[1]), order, Quiet(), memory="128MiB")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"rows": report.rows, "duplicates": report.duplicate_rows, "grown": (peak - before) * 1024,
                      "distinct": [column.distinct for column in report.columns]}))
""")


def test_a_file_larger_than_its_memory(tmp_path: Path, scratch: Path) -> None:
    rows = 300_000
    big = tmp_path / "big.csv"
    write_rows(big, rows, filler=1_000)
    (tmp_path / "small.csv").write_text("a,b\n1,x\n")
    assert big.stat().st_size > 300_000_000

    done = subprocess.run(
        [sys.executable, "-c", MEMORY, big, FILE],
        check=True,
        capture_output=True,
        text=True,
        env={"TMPDIR": str(scratch)},
    )

    big.unlink()
    result = json.loads(done.stdout)
    assert result["grown"] < 220 * 2**20
    assert (result["rows"], result["duplicates"], result["distinct"]) == (rows, 0, [rows, rows, 99_991, rows])
    assert list(scratch.iterdir()) == []
