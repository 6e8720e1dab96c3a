"""The job type ``table.analyze``: statistics of a table of any size.

Importing it does not need DuckDB; running a job does (extra ``tables``).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from callboard.actors.jobs.table.columns import describe_column
from callboard.actors.jobs.table.dialect import find_dialect
from callboard.actors.jobs.table.engine import MEMORY, Engine
from callboard.actors.jobs.table.models import AnalyzeTable, TableReport
from callboard.actors.jobs.table.progress import Progress, Watch, part
from callboard.actors.jobs.table.records import count_duplicates, read_records
from callboard.actors.jobs.table.source import BrokenTable, copy_as_text
from callboard.actors.types.registry import job
from callboard.actors.types.run import Run
from callboard.db.errors import ConfigurationError, NotFound


@job(
    "table.analyze",
    queue="tables",
    time_limit=600,
    max_retries=3,
    throws=(BrokenTable, NotFound, ConfigurationError),
    example={"file": "019aa1f0-7c00-7000-8000-000000000000", "null_values": ["NA"], "quantiles": [0.05, 0.5, 0.95]},
)
def analyze(payload: AnalyzeTable, run: Run) -> TableReport:
    """Describe a table, such as a CSV file: rows, duplicate rows, and for each column its type, missing and different
    values, minimum, maximum, mean, quantiles and most frequent values. Every number is exact, whatever the file's size.

    A file larger than memory works too: the system's temporary directory takes what does not fit, up to several times
    the size of the file, while the job runs.

    Raises:
        BrokenTable: the file is not a table as described; the message has the line and the reason.
        NotFound: there is no such file.
        ConfigurationError: DuckDB is not installed.
    """
    return analyze_file(run.file(payload.file), payload, run)


def analyze_file(path: Path, order: AnalyzeTable, run: Run, *, memory: str = MEMORY) -> TableReport:
    """Do the work of :func:`analyze` on a local file. ``memory``: what the engine may use, such as ``512MiB``."""
    progress = Progress(run)
    with tempfile.TemporaryDirectory(prefix="callboard-table-") as folder:
        scratch = Path(folder)
        source = copy_as_text(path, order.encoding, scratch, progress)
        dialect = find_dialect(source, order.delimiter, header=order.header)
        width = len(dialect.names)
        with Engine(scratch, memory) as engine:
            reading = progress.watch("reading", lambda share: _amount(share, source.bytes, "bytes read"))
            rows = read_records(engine, source.path, dialect, order.null_values, reading)
            source.path.unlink()  # the engine has it all now
            columns = []
            for index, name in enumerate(dialect.names):
                watch = _watch_column(progress, index, width, name)
                columns.append(describe_column(engine, index, name, rows=rows, order=order, watch=watch))
            comparing = progress.watch("duplicates", lambda share: _amount(share, rows, "rows compared"))
            duplicate_rows = count_duplicates(engine, width, comparing)
    return TableReport(
        rows=rows,
        column_count=width,
        duplicate_rows=duplicate_rows,
        bytes=source.bytes,
        encoding=source.encoding,
        delimiter=dialect.delimiter,
        header=dialect.header,
        columns=columns,
    )


def _watch_column(progress: Progress, index: int, width: int, name: str) -> Watch:
    message = f"Column {index + 1} of {width}: {name[:60]}"
    return part(progress.watch("columns", lambda _share: message), index / width, (index + 1) / width)


def _amount(share: float, whole: int, what: str) -> str:
    return f"{round(share * whole):,} of {whole:,} {what}"
