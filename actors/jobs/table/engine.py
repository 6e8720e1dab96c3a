"""DuckDB for one untrusted file: with bounded memory, without network, and with queries that can be stopped."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from callboard.actors.jobs.table.progress import Watch
from callboard.db.errors import ConfigurationError

MEMORY: Final = "512MiB"
"""Memory of DuckDB; the rest of a table is on disk."""

_THREADS: Final = 2
_POLL: Final = 0.05
"""Seconds between two checks of a running query, at each of which it can be stopped."""


class Engine:
    """A database in memory that spills to a folder. Use it in a ``with`` block, from one thread at a time."""

    def __init__(self, scratch: Path, memory: str = MEMORY) -> None:
        """Open it.

        Args:
            scratch: a folder for data that does not fit into memory: up to several times the size of the table. SQL can
                read the files of this folder only.
            memory: most memory, such as ``512MiB``.

        Raises:
            ConfigurationError: DuckDB is not installed.
        """
        try:
            import duckdb  # noqa: PLC0415 - an optional dependency, needed when a job runs
        except ImportError as error:
            raise ConfigurationError(
                "table.analyze needs DuckDB, which is not installed here. Install callboard[tables] where workers run."
            ) from error
        self._connection = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": memory,
                "threads": min(_THREADS, os.cpu_count() or 1),
                "temp_directory": str(scratch / "spill"),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "allow_community_extensions": False,
                "allow_persistent_secrets": False,
                "python_enable_replacements": False,
            },
        )
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="table-analyze")
        for name, value in {
            "enable_progress_bar_print": False,
            "enable_progress_bar": True,  # needed by query_progress()
            "progress_bar_time": 0,
            "allowed_directories": [str(scratch)],
            "enable_external_access": False,
            "lock_configuration": True,
        }.items():
            self._connection.execute(f"SET {name} = $value", {"value": value})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # An exception from outside may have come before query() had its future: wait for the thread instead. An
        # interrupt before a query has begun has no effect: hence the loop.
        idle = self._executor.submit(lambda: None)
        while not wait([idle], timeout=0.02).done:
            self._connection.interrupt()
        self._executor.shutdown()
        self._connection.close()

    def query(
        self, sql: str, parameters: Sequence[object] | Mapping[str, object] = (), *, watch: Watch
    ) -> list[tuple[Any, ...]]:
        """Run one statement to its end and return its rows.

        ``watch`` is called about every 0.05 seconds and once at the end. If it raises, or an exception is raised in
        this thread from outside, leaving the ``with`` block stops the query.

        Raises:
            duckdb.Error: the statement failed.
        """
        query = self._executor.submit(self._run, sql, parameters)
        while not wait([query], timeout=_POLL).done:
            # -1 before it has begun and after it has ended.
            watch(max(self._connection.query_progress(), 0.0) / 100)
        rows = query.result()
        watch(1.0)
        return rows

    def _run(self, sql: str, parameters: Sequence[object] | Mapping[str, object]) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, parameters).fetchall()
