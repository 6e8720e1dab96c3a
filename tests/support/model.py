"""What the verbs are meant to do, as plainly as it can be said: one object a job, no database.

The stateful test plays every step on this and on PostgreSQL, and compares.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from callboard.db.fleet.workers import ALIVE, WorkerState
from callboard.db.rules.outcome import Outcome
from callboard.db.rules.states import LIVE, TERMINAL, WAITING, AttemptOutcome, Status
from callboard.db.transitions import NewJob


@dataclass
class ModelWorker:
    id: UUID
    state: WorkerState = WorkerState.RUNNING

    @property
    def alive(self) -> bool:
        return self.state in ALIVE


@dataclass
class ModelJob:
    new: NewJob
    status: Status
    unique_key: str | None
    attempt: int = 0
    retries: int = 0
    dispatched: bool = False
    overdue: bool = False
    started: bool = False
    cancel_requested: bool = False
    worker: ModelWorker | None = None
    ended: dict[int, AttemptOutcome] = field(default_factory=dict)
    progress: int = 0

    @property
    def id(self) -> UUID:
        return self.new.id

    @property
    def live(self) -> bool:
        return self.status in LIVE

    @property
    def dispatchable(self) -> bool:
        return self.status is Status.QUEUED and not self.dispatched

    def promote(self) -> None:
        assert self.status in {Status.SCHEDULED, Status.RETRYING}
        self.status = Status.QUEUED

    def mark_dispatched(self, attempt: int) -> None:
        if self.dispatchable and attempt == self.attempt + 1:
            self.dispatched = True

    def claim(self, attempt: int, worker: ModelWorker, *, paused: bool) -> bool:
        late = self.overdue and not self.started
        if self.status is not Status.QUEUED or attempt != self.attempt + 1 or late or paused or not worker.alive:
            return False
        self.status = Status.RUNNING
        self.attempt = attempt
        self.worker = worker
        self.started = self.dispatched = True
        return True

    def runs(self, attempt: int) -> bool:
        return self.status is Status.RUNNING and self.attempt == attempt

    def end(self, attempt: int, outcome: Outcome) -> bool:
        if not self.runs(attempt):
            return False
        self.ended[attempt] = outcome.attempt
        self.worker = None
        self.dispatched = False
        if outcome.status in TERMINAL:
            self._finish(outcome.status)
        elif self.cancel_requested:
            self._finish(Status.CANCELLED)
        else:
            self.status = outcome.status
            self.retries += outcome.status is Status.RETRYING
        return True

    def cancel(self) -> bool:
        if self.status is Status.RUNNING:
            self.cancel_requested = True
            return True
        if self.status in WAITING:
            self.cancel_requested = True
            self._finish(Status.CANCELLED)
            return True
        return False

    def expire(self) -> None:
        if self.overdue and not self.started and self.status in WAITING:
            self._finish(Status.EXPIRED)

    def reopen(self) -> bool:
        if self.status not in TERMINAL - {Status.SUCCEEDED}:
            return False
        self.status = Status.QUEUED
        self.retries = 0
        self.unique_key = None
        self.overdue = self.cancel_requested = False
        return True

    def _finish(self, status: Status) -> None:
        self.status = status
        self.dispatched = False
