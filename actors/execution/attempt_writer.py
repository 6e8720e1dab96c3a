"""Group commit of the claims and ends of attempts: those of all threads in one transaction and one round trip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from callboard.db.attempt.progress import ProgressReport, report_progress
from callboard.db.errors import Unavailable
from callboard.db.rules.states import Status
from callboard.db.sql.engine import Database
from callboard.db.sql.group_commit import Batcher
from callboard.db.sql.notify import notify_dispatcher
from callboard.db.transitions import AttemptId, ClaimedJob, Ending, record_and_claim


@dataclass(frozen=True, slots=True)
class _End:
    ending: Ending
    last_report: ProgressReport | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """Whether the end of an attempt was recorded."""

    ours: bool
    """Whether it is durable. False: the attempt had been fenced out, or there was an error."""
    waits: bool = False
    """Whether the job waits for another attempt; else it is done, though another attempt was to follow, as its cancel
    was requested."""
    error: BaseException | None = None
    """Why it was not written, such as ``Unavailable`` if the process shut down while the database was away."""

    @property
    def refused(self) -> Exception | None:
        """The error, if the database is there but does not store these values."""
        return self.error if isinstance(self.error, Exception) and not isinstance(self.error, Unavailable) else None


class _Callback:
    """Calls back once the end is durable, or can never be."""

    __slots__ = ("_then",)

    def __init__(self, then: Callable[[Recorded], None]) -> None:
        self._then = then

    def set_running_or_notify_cancel(self) -> bool:
        return True

    def set_result(self, result: object, /) -> None:
        assert isinstance(result, Recorded)  # noqa: S101 (the others are results of starts)
        self._then(result)

    def set_exception(self, exception: BaseException, /) -> None:
        self._then(Recorded(ours=False, error=exception))


class AttemptWriter:
    """Claims and records attempts. Callable from any thread.

    While the database is away, claims wait without a limit, with their messages unacknowledged. Ends wait in memory, at
    most one per thread, as each thread then waits for its next claim.
    """

    def __init__(self, database: Database, identity: Callable[[], tuple[UUID, str]]) -> None:
        """``identity``: returns the id and name under which this worker process claims now."""
        self._database = database
        self._connection = database.pinned()
        self._identity = identity
        # One for both: half as many batches of twice the size cost half as much.
        self._entries: Batcher[AttemptId | _End, ClaimedJob | Recorded | None] = Batcher(
            "attempt-writer", self._write, size_of=_size_of, retry_for=None, at_end=self._connection.close
        )

    def start(self, attempt_id: AttemptId) -> ClaimedJob | None:
        """Claim an attempt, durably. None: its job does not wait for it, or not any more.

        Raises:
            Unavailable: the process is shutting down and the database is away.
        """
        started = self._entries.write(attempt_id)
        assert not isinstance(started, Recorded)  # noqa: S101 (that is the result of an end)
        return started

    def end(self, ending: Ending, last_report: ProgressReport | None, then: Callable[[Recorded], None]) -> None:
        """Record the end of an attempt, after its last progress report. Does not wait.

        Args:
            ending: the attempt, and its outcome.
            last_report: its last progress report, if that has not been written.
            then: called in the writer's thread once the end is durable, or can never be. Raises nothing.
        """
        try:
            self._entries.submit_for(_Callback(then), _End(ending, last_report))
        except Unavailable as error:
            then(Recorded(ours=False, error=error))

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._entries.alive

    def close(self) -> None:
        """Write pending entries, and accept no more."""
        self._entries.close()

    def _write(self, entries: Sequence[AttemptId | _End]) -> Sequence[ClaimedJob | Recorded | None]:
        starts = [entry for entry in entries if isinstance(entry, AttemptId)]
        ends = [entry for entry in entries if isinstance(entry, _End)]
        endings = [end.ending for end in ends]
        worker_id, worker = self._identity()
        # Reports and ends need not be one transaction; a report only has to be written before the end of its attempt.
        with self._connection.use() as connection:
            report_progress(connection, [end.last_report for end in ends if end.last_report is not None])
            written = record_and_claim(connection, endings, starts, worker_id=worker_id, worker=worker)
        if any(ending.outcome.status in {Status.RETRYING, Status.QUEUED} for ending in endings):
            notify_dispatcher(self._database)
        return [
            # Of two messages for one attempt, one gets the claim.
            written.started.pop(entry, None)
            if isinstance(entry, AttemptId)
            else Recorded(
                ours=entry.ending.attempt_id in written.ended, waits=entry.ending.attempt_id in written.waiting
            )
            for entry in entries
        ]


def _size_of(entry: AttemptId | _End) -> int:
    return len(entry.ending.outcome.result or b"") if isinstance(entry, _End) else 0
