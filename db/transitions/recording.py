"""What a worker writes: the ends of attempts, each by its verb, and the starts of others in the same round trip."""

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
    """Apply each ending with the verb that its outcome asks for; return what was still theirs to end.

    A job that was asked to be cancelled and would wait for another attempt is cancelled instead.
    """
    waiting, last = _wait_again(connection, endings)
    return waiting | (finish(connection, last) if last else set())


@dataclass(frozen=True, slots=True)
class Written:
    """What :func:`record_and_claim` has changed."""

    ended: set[AttemptId]
    """As :func:`record` returns it."""
    started: dict[AttemptId, ClaimedJob]
    """As :func:`claim` returns it."""


def record_and_claim(
    connection: Connection, endings: Sequence[Ending], starts: Sequence[AttemptId], *, worker_id: UUID, worker: str
) -> Written:
    """:func:`record` and :func:`claim`: one round trip, unless an attempt has to be repeated.

    On an autocommit connection what ends and what starts is one durable transaction, but for jobs that wait again.
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
    return Written(waiting | finished(ended), claimed(started))


def _wait_again(connection: Connection, endings: Sequence[Ending]) -> tuple[set[AttemptId], list[Ending]]:
    """Let the jobs wait that are to run again; return what now waits, and the endings that are left to finish."""
    retrying = [ending for ending in endings if ending.outcome.status is Status.RETRYING]
    released = [ending for ending in endings if ending.outcome.status is Status.QUEUED]
    waiting = (retry_later(connection, retrying) if retrying else set()) | (
        release(connection, released) if released else set()
    )
    # What is left of those two has been fenced out, as finish will find, or is to be cancelled.
    last = [
        ending if ending.outcome.status in TERMINAL else replace(ending, outcome=_cancelled(ending))
        for ending in endings
        if ending.attempt_id not in waiting
    ]
    return waiting, last


def _cancelled(ending: Ending) -> Outcome:
    error = JobError(Reason.CANCELLED, "Cancelled", "Cancelled while it ran.", ending.attempt_id.number)
    return replace(ending.outcome, status=Status.CANCELLED, error=ending.outcome.error or error, delay=None)
