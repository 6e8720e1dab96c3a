"""Checkpoints and steps as handlers see them, whatever keeps them."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from callboard.actors.execution.checkpoints import Checkpoints
from callboard.actors.execution.interrupts import Interrupter, Interruption, JobInterrupted
from callboard.db.errors import InvalidInput, TooLarge


class InDict:
    """CheckpointStore of one job."""

    def __init__(self) -> None:
        self.checkpoint: bytes | None = None
        self.steps: dict[str, bytes] = {}

    def read_checkpoint(self) -> bytes | None:
        return self.checkpoint

    def save_checkpoint(self, data: bytes) -> None:
        self.checkpoint = data

    def read_step(self, key: str) -> bytes | None:
        return self.steps.get(key)

    def save_step(self, key: str, data: bytes) -> bytes:
        return self.steps.setdefault(key, data)


JOB = uuid4()


def attempt(kept: InDict, job_id: UUID = JOB) -> Checkpoints:
    return Checkpoints(job_id, kept, lambda: None)


def test_restored_is_what_an_earlier_attempt_left() -> None:
    kept = InDict()
    first = attempt(kept)
    first.checkpoint({"row": 1})
    first.checkpoint({"row": 2})
    assert first.restored is None

    second = attempt(kept)
    second.checkpoint({"row": 3})
    assert second.restored == {"row": 2}
    assert attempt(kept).restored == {"row": 3}


def test_a_step_is_done_once_and_its_result_is_json_from_the_first_time_on() -> None:
    kept = InDict()
    calls: list[None] = []

    def step() -> tuple[int, UUID]:
        calls.append(None)
        return len(calls), JOB

    results = [attempt(kept).once("key", step) for _ in range(2)]
    assert results == [[1, str(JOB)]] * 2
    assert attempt(kept).once("none", lambda: None) is None
    assert attempt(kept).once("none", step) is None


def test_a_step_that_raises_is_not_done() -> None:
    kept = InDict()
    with pytest.raises(ZeroDivisionError):
        attempt(kept).once("key", lambda: 1 / 0)
    assert attempt(kept).once("key", lambda: 1) == 1


def test_an_attempt_that_is_to_stop_saves_but_begins_nothing() -> None:
    stop = Interrupter()
    stop.interrupt(Interruption.SHUTDOWN)
    kept = InDict()
    checkpoints = Checkpoints(JOB, kept, stop.check)
    checkpoints.checkpoint(1)
    with pytest.raises(JobInterrupted):
        checkpoints.once("key", lambda: 1)
    assert (kept.checkpoint, kept.steps) == (b"1", {})


def test_tokens_differ_by_job_and_key_alone() -> None:
    assert attempt(InDict()).token("a") == attempt(InDict()).token("a")
    assert len({attempt(InDict()).token("a"), attempt(InDict()).token("b"), attempt(InDict(), uuid4()).token("a")}) == 3


def test_what_cannot_be_kept() -> None:
    checkpoints = attempt(InDict())
    with pytest.raises(TooLarge, match="checkpoint has"):
        checkpoints.checkpoint("x" * 2**20)
    with pytest.raises(InvalidInput, match="no JSON form"):
        checkpoints.checkpoint(object())
    with pytest.raises(InvalidInput, match="result of step 'key' has no JSON form"):
        checkpoints.once("key", object)
    for key in ("", "x" * 201, "a\0b"):
        with pytest.raises(InvalidInput, match="1 to 200 characters"):
            checkpoints.once(key, lambda: 1)
