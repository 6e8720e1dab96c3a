"""The verbs of ``callboard.db.transitions``, each called in every way in which it sends other statements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from callboard.db.rules.ids import new_id
from callboard.db.rules.states import Status
from callboard.db.transitions import (
    Amendment,
    AttemptId,
    Ending,
    IdempotencyKey,
    SubmissionRequest,
    amend,
    await_worker,
    cancel,
    cancel_all,
    claim,
    consume,
    erase,
    erase_all,
    expire,
    expire_results,
    find_submission,
    finish,
    load,
    load_missing,
    mark_dispatched,
    promote,
    recall,
    record,
    record_and_claim,
    release,
    reopen,
    reopen_all,
    retry_later,
    submit,
    undispatch,
)
from tests.support.factory import OUTCOMES, QUEUE
from tests.support.statements.stage import Example, Stage

_KEY: Final = IdempotencyKey("owner", "key", b"hash", 86_400.0)
_AMENDED: Final = Amendment(
    {"priority": 7, "scheduled_at": datetime(2026, 1, 1, tzinfo=UTC), "expires_at": None, "tags": {"a": "b"}}
)


def _keyed(connection: Connection, stage: Stage) -> None:
    submit(connection, [SubmissionRequest([stage.new_job()], _KEY)])


def _unique(connection: Connection, stage: Stage) -> None:
    stage.submit(unique_key="taken")
    submit(connection, [SubmissionRequest([stage.new_job(unique_key="taken")])])


def _keyed_and_unique(connection: Connection, stage: Stage) -> None:
    stage.submit(unique_key="taken")
    submit(connection, [SubmissionRequest([stage.new_job(unique_key="taken")], _KEY)])


def _again(connection: Connection, stage: Stage) -> None:
    job = stage.new_job()
    stage.submit_all(job)
    stage.end(stage.claim(job.id), OUTCOMES[Status.SUCCEEDED])
    submit(connection, [SubmissionRequest([job])], repeated=True)


def _ended(status: Status, job_id: UUID | None = None) -> Sequence[Ending]:
    return [Ending(AttemptId(job_id or new_id(), 1), OUTCOMES[status])]


def _retry_of_a_cancelled(connection: Connection, stage: Stage) -> None:
    job_id = stage.in_state(Status.RUNNING)
    stage.do(lambda other: cancel(other, job_id))
    record(connection, _ended(Status.RETRYING, job_id))


def _end_and_start(connection: Connection, stage: Stage) -> None:
    claims = [AttemptId(new_id(), 1)]
    record_and_claim(connection, _ended(Status.SUCCEEDED), claims, worker_id=new_id(), worker="host-1")


VERBS: Final = (
    Example(
        (submit,),
        lambda c, stage: submit(c, [SubmissionRequest([stage.new_job()])], wake=True),
        "one job in each request, no keys; the hint to the dispatcher goes along",
        autocommit=True,
    ),
    Example(
        (submit,),
        lambda c, stage: submit(c, [SubmissionRequest([stage.new_job(), stage.new_job()])], wake=True),
        "several jobs in a request, no keys",
        autocommit=True,
    ),
    Example((submit,), _keyed, "with an idempotency key"),
    Example((submit,), _unique, "with a unique key that a live job has"),
    Example((submit,), _keyed_and_unique, "with an idempotency key, and a unique key that a live job has"),
    Example((submit,), _again, "once more as the answer was lost; the job has finished meanwhile"),
    Example((find_submission,), lambda c, _: find_submission(c, _KEY)),
    Example((promote,), lambda c, _: promote(c)),
    Example((mark_dispatched,), lambda c, _: mark_dispatched(c, [AttemptId(new_id(), 1)])),
    Example((undispatch,), lambda c, _: undispatch(c, QUEUE, older_than=60.0)),
    Example((claim,), lambda c, _: claim(c, [AttemptId(new_id(), 1)], worker_id=new_id(), worker="host-1")),
    Example((await_worker,), lambda c, _: await_worker(c, [AttemptId(new_id(), 1)], grace=60.0)),
    Example((recall,), lambda c, _: recall(c, ["test.job"])),
    Example((finish,), lambda c, _: finish(c, _ended(Status.SUCCEEDED))),
    Example((retry_later,), lambda c, _: retry_later(c, _ended(Status.RETRYING))),
    Example((release,), lambda c, _: release(c, _ended(Status.QUEUED))),
    Example((record,), lambda c, _: record(c, _ended(Status.SUCCEEDED)), "succeeded, failed or cancelled"),
    Example((record,), lambda c, stage: record(c, _ended(Status.RETRYING, stage.in_state(Status.RUNNING))), "retrying"),
    Example((record,), lambda c, stage: record(c, _ended(Status.QUEUED, stage.in_state(Status.RUNNING))), "released"),
    Example((record,), _retry_of_a_cancelled, "to be retried or released, but its job is to be cancelled"),
    Example((record_and_claim,), _end_and_start, "an attempt ends, another starts; in one round trip"),
    Example((cancel, cancel_all), lambda c, stage: cancel(c, stage.in_state(Status.QUEUED)), "of jobs that wait"),
    Example((cancel, cancel_all), lambda c, stage: cancel(c, stage.in_state(Status.RUNNING)), "of jobs that run"),
    Example((expire,), lambda c, _: expire(c)),
    Example((amend,), lambda c, _: amend(c, new_id(), _AMENDED, revision=1), "everything that can be"),
    Example((reopen, reopen_all), lambda c, _: reopen(c, new_id())),
    Example((erase, erase_all), lambda c, _: erase(c, new_id())),
    Example((consume,), lambda c, _: consume(c, new_id())),
    Example((expire_results,), lambda c, _: expire_results(c, limit=100)),
    Example((load,), lambda c, _: load(c, b"", b"")),
    Example((load_missing,), lambda c, _: load_missing(c, [])),
)
