"""The part of a worker that runs handlers, on a real database, without a broker."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy import RowMapping

from callboard.actors.execution.attempt_runner import AttemptRunner
from callboard.actors.execution.progress_writer import ProgressWriter
from callboard.actors.execution.running_attempts import RunningAttempts, Watch
from callboard.actors.types.loading import load_job_types
from callboard.db.files.storage import DirectoryStorage
from callboard.db.rules.attempts import AttemptId
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.db.transitions import cancel, promote
from tests.actors.execution.modules import hostile_code, run_members
from tests.support.clock import make_due
from tests.support.databases import Databases, settings_of
from tests.support.factory import Factory
from tests.support.records import Record, read_records
from tests.support.servers import ALL
from tests.support.until import until

_MODULES = Path(__file__).with_name("modules")
_LONGEST_RUN = 60.0


class Bench:
    """Runs attempts like a worker with four threads."""

    def __init__(self, settings: Settings, database: Database, factory: Factory, storage: DirectoryStorage) -> None:
        self.database = database
        self.factory = factory
        self.storage = storage
        self.running = RunningAttempts()
        self.lease_over = False
        self.worker_id = factory.worker("bench")
        registry = load_job_types(settings.job_modules, diagnostics=True)
        self._progress = ProgressWriter(database, interval=0.05)
        self._watch = Watch(self.running, database, check_interval=0.1, lease_over=lambda: self.lease_over)
        self._runner = AttemptRunner(
            settings, registry, database, storage, self.running, self._progress, lambda: (self.worker_id, "bench")
        )
        self._threads = ThreadPoolExecutor(4)
        self._progress.start()
        self._watch.start()

    def close(self) -> None:
        self._threads.shutdown()
        self._watch.stop()
        self._progress.stop()
        self._runner.close()

    def submit(self, job_type: str, payload: Any, **options: Any) -> UUID:
        return self.factory.submit(type=job_type, queue="isolated", payload=orjson.dumps(payload), **options)

    def run_only(self, job_id: UUID, attempt: int = 1) -> Future[BaseException | None]:
        """Run an attempt in a thread, which does not wait for its record."""
        return self._threads.submit(self._runner.run, AttemptId(job_id, attempt))

    def start(self, job_id: UUID, attempt: int = 1) -> Future[None]:
        """Run an attempt in a thread, until it is recorded."""

        def run() -> None:
            self._runner.run(AttemptId(job_id, attempt))
            until(lambda: (job_id, attempt) not in self.running.held())

        return self._threads.submit(run)

    def run(self, job_type: str, payload: Any, **options: Any) -> RowMapping:
        """Submit a job, run its first attempt, and return its row."""
        job_id = self.submit(job_type, payload, **options)
        self.start(job_id).result(_LONGEST_RUN)
        return self.row(job_id)

    def record(self, job_id: UUID) -> Record:
        return read_records(self.database)[job_id]

    def row(self, job_id: UUID) -> RowMapping:
        return self.record(job_id).row

    def cancel(self, job_id: UUID) -> None:
        with self.database.begin() as connection:
            assert cancel(connection, job_id)

    def make_due(self, job_id: UUID) -> None:
        """Let a retry wait no longer."""
        make_due(self.database, job_id)
        with self.database.begin() as connection:
            promote(connection)

    def wait_until_done(self, job_id: UUID) -> RowMapping:
        """Return the job's row once it is in history."""
        until(lambda: bool(self.record(job_id).finished))
        return self.row(job_id)


@pytest.fixture(scope="module")
def bench(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One for all tests of a module, whose processes take a while to start."""
    before = set(threading.enumerate())
    settings = settings_of(databases.emptied(ALL[-1])).model_copy(
        update={
            "job_modules": ("isolated_jobs", "hostile_jobs", hostile_code.__name__, run_members.__name__),
            "diagnostics": True,
        }
    )
    database = Database(settings, role="test")
    storage = DirectoryStorage(tmp_path_factory.mktemp("storage") / "files", max_bytes=2**20)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.syspath_prepend(str(_MODULES))
        bench = Bench(settings, database, Factory(database), storage)
        yield bench
        bench.close()
    database.close()
    left = {thread.name for thread in set(threading.enumerate()) - before} - {"embedded-postgres"}
    assert not left
