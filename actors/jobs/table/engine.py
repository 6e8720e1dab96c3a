"""DuckDB for one untrusted file: within a bound of memory, without network, and with queries that can be stopped."""

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
"""What DuckDB may hold; the rest of a table goes to disk."""

_THREADS: Final = 2
_POLL: Final = 0.05
"""Seconds between two looks at a running query, and so between two chances to stop it."""


class Engine:
    """A database in memory that spills to a folder. Use it in a ``with`` block; one thread at a time."""

    def __init__(self, scratch: Path, memory: str = MEMORY) -> None:
        """Open it.

        Args:
            scratch: a folder for what does not fit into memory: up to several times the size of the table. SQL can read
                no files but those of this folder.
            memory: the bound of memory, such as ``512MiB``.

        Raises:
            ConfigurationError: DuckDB is not installed.
        """
        try:
            import duckdb  # noqa: PLC0415 - an optional dependency, wanted when a job runs
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
            "enable_progress_bar": True,  # or query_progress() has nothing to tell
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
        # An exception from outside may have come before query() had its future, so wait for the thread, not for that.
        # A query that has not begun when it is told to stop does not hear it: hence again and again.
        idle = self._executor.submit(lambda: None)
        while not wait([idle], timeout=0.02).done:
            self._connection.interrupt()
        self._executor.shutdown()
        self._connection.close()

    def query(
        self, sql: str, parameters: Sequence[object] | Mapping[str, object] = (), *, watch: Watch
    ) -> list[tuple[Any, ...]]:
        """Run one statement to its end and return its rows.

        ``watch`` is called about every 0.05 seconds and once at the end. When it raises, or an exception is raised in
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
