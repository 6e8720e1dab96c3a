"""A worker's writes: the ends of attempts, each by its verb, and the starts of others in the same round trip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import Connection

from callboard.db.rules.attempts import AttemptId, ClaimedJob
from callboard.db.rules.outcome import JobError, Outcome
from callboard.db.rules.states import TERMINAL, Reason, Status
from callboard.db.sql.pipeline import execute_together
from callboard.db.transitions.finishing import Ending, finish, finished, finishing, release, retry_later
from callboard.db.transitions.starting import claimed, claiming


def record(connection: Connection, endings: Sequence[Ending]) -> set[AttemptId]:
    """Apply each ending with the verb for its outcome; return the attempts that were ended, as :func:`finish`.

    A job that would wait for another attempt is cancelled instead if its cancel was requested.
    """
    waiting, last = _wait_again(connection, endings)
    return waiting | (finish(connection, last) if last else set())


@dataclass(frozen=True, slots=True)
class Written:
    """The changes made by :func:`record_and_claim`."""

    ended: set[AttemptId]
    """As :func:`record` returns it."""
    waiting: set[AttemptId]
    """Those of them whose jobs wait for another attempt; the other jobs are done."""
    started: dict[AttemptId, ClaimedJob]
    """As :func:`claim` returns it."""


def record_and_claim(
    connection: Connection, endings: Sequence[Ending], starts: Sequence[AttemptId], *, worker_id: UUID, worker: str
) -> Written:
    """:func:`record` and :func:`claim` in one round trip; one more for each of retry_later and release.

    On an autocommit connection the finished and the started attempts are one durable transaction; the jobs that wait
    again are written before, in transactions of their own.
    """
    waiting, last = _wait_again(connection, endings)
    match bool(last), bool(starts):
        case True, True:
            ended, started = execute_together(
                connection, finishing(last), claiming(starts, worker_id=worker_id, worker=worker)
            )
        case True, False:
            [ended], started = execute_together(connection, finishing(last)), []
        case _, True:
            [started], ended = execute_together(connection, claiming(starts, worker_id=worker_id, worker=worker)), []
        case _:
            ended, started = [], []
    return Written(waiting | finished(ended), waiting, claimed(started))


def _wait_again(connection: Connection, endings: Sequence[Ending]) -> tuple[set[AttemptId], list[Ending]]:
    """Make jobs wait that are to run again; return the attempts of these, and the endings that are left to finish."""
    retrying = [ending for ending in endings if ending.outcome.status is Status.RETRYING]
    released = [ending for ending in endings if ending.outcome.status is Status.QUEUED]
    waiting = (retry_later(connection, retrying) if retrying else set()) | (
        release(connection, released) if released else set()
    )
    # The rest of those two has been fenced out, as finish will see, or is to be cancelled.
    last = [
        ending if ending.outcome.status in TERMINAL else replace(ending, outcome=_cancelled(ending))
        for ending in endings
        if ending.attempt_id not in waiting
    ]
    return waiting, last


def _cancelled(ending: Ending) -> Outcome:
    error = JobError(Reason.CANCELLED, "Cancelled", "Cancelled while it ran.", ending.attempt_id.number)
    return replace(ending.outcome, status=Status.CANCELLED, error=ending.outcome.error or error, delay=None)
