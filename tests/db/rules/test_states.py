from __future__ import annotations

from callboard.db.rules.outcome import JobError, Outcome
from callboard.db.rules.states import LIVE, TERMINAL, WAITING, Reason, Status

ERROR = JobError(Reason.EXCEPTION, "ValueError", "no such thing", attempt=1)


def test_every_state_is_either_live_or_terminal() -> None:
    assert set(Status) == LIVE | TERMINAL
    assert not LIVE & TERMINAL


def test_a_live_job_runs_or_waits() -> None:
    assert WAITING | {Status.RUNNING} == LIVE


def test_outcomes_lead_where_their_names_say() -> None:
    assert Outcome.succeed(b"1").status is Status.SUCCEEDED
    assert Outcome.fail(ERROR).status is Status.FAILED
    assert Outcome.cancel(ERROR).status is Status.CANCELLED
    assert Outcome.retry_later(ERROR, 1.0).status is Status.RETRYING
    assert Outcome.release().status is Status.QUEUED


def test_only_a_success_has_a_result_and_only_the_others_an_error() -> None:
    outcomes = [Outcome.fail(ERROR), Outcome.cancel(ERROR), Outcome.retry_later(ERROR, 1.0)]

    assert Outcome.succeed(b"1").error is None
    assert all(outcome.result is None and outcome.error == ERROR for outcome in outcomes)
