"""``table.analyze`` run as a worker runs it: the handler, a payload, and a Run that keeps its reports."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from callboard.actors.jobs.table.analyze import analyze
from callboard.actors.jobs.table.models import AnalyzeTable, TableReport
from callboard.db.errors import NotFound

FILE = UUID("019aa1f0-7c00-7000-8000-000000000001")


class Report(NamedTuple):
    current: float
    total: float | None
    message: str | None
    step: str | None


@dataclass
class LocalRun:
    """A Run with at most one file. ``on_report`` sees each report first, and may raise to stop the attempt."""

    path: Path | None = None
    reports: list[Report] = field(default_factory=list)
    on_report: Callable[[Report], None] = lambda report: None
    job_id: UUID = FILE
    attempt: int = 1
    deadline: datetime | None = None

    def progress(
        self, current: float, total: float | None = None, message: str | None = None, *, step: str | None = None
    ) -> None:
        self.reports.append(Report(current, total, message, step))
        self.on_report(self.reports[-1])

    def check(self) -> None:
        pass

    def log(self, message: str, /, **fields: object) -> None:
        pass

    def file(self, file_id: UUID | str) -> Path:
        if self.path is None or UUID(str(file_id)) != FILE:
            raise NotFound(f"There is no file {file_id}.")
        return self.path

    def attach(
        self, content: Path | bytes | Iterable[bytes], *, name: str | None = None, media_type: str | None = None
    ) -> UUID:
        raise NotImplementedError

    def checkpoint(self, data: Any) -> None:
        raise NotImplementedError

    @property
    def restored(self) -> Any:
        raise NotImplementedError

    def once(self, key: str, function: Callable[[], Any]) -> Any:
        raise NotImplementedError

    def token(self, key: str) -> UUID:
        raise NotImplementedError


@pytest.fixture
def run(tmp_path: Path) -> LocalRun:
    return LocalRun(tmp_path / "upload")


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's temporary directory, while the test runs."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


Analyze = Callable[..., TableReport]


@pytest.fixture
def analyze_text(run: LocalRun) -> Analyze:
    """Analyze a text (UTF-8) or bytes, with the payload's options as keywords."""

    def analyze_text(content: str | bytes, **options: object) -> TableReport:
        assert run.path is not None
        run.path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return analyze(AnalyzeTable.model_validate({"file": FILE, **options}), run)

    return analyze_text
