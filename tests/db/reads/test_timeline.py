from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from callboard.db.attempt.progress import ProgressReport, report_progress
from callboard.db.models import job_progress
from callboard.db.reads.timeline import Event, JobEvents, Watch, read_events
from callboard.db.rules.attempts import AttemptId
from callboard.db.rules.event_position import EventPosition
from callboard.db.rules.ids import new_id
from callboard.db.rules.outcome import JobError, Outcome
from callboard.db.rules.states import EventKind, Reason, Status
from callboard.db.sql.engine import Database
from callboard.db.transitions import cancel, erase, promote, reopen
from tests.support.clock import make_due
from tests.support.factory import ERROR, OUTCOMES, Factory

SUBMITTED, STARTED, PROGRESS = EventKind.SUBMITTED, EventKind.STARTED, EventKind.PROGRESS
RETRY, RELEASED, ASKED, FINISHED = (
    EventKind.RETRY, EventKind.RELEASED, EventKind.CANCEL_REQUESTED, EventKind.FINISHED,
)  # fmt: skip

START = EventPosition()


def read(database: Database, *watches: Watch, limit: int = 100) -> dict[UUID, JobEvents]:
    with database.begin() as connection:
        return read_events(connection, watches, limit=limit)


def events(database: Database, job_id: UUID, after: EventPosition = START, *, limit: int = 100) -> list[Event]:
    """All events after a position, read page by page."""
    seen: list[Event] = []
    while True:
        page = read(database, Watch(job_id, after), limit=limit)[job_id]
        assert len(page.events) <= limit
        seen += page.events
        if not page.more:
            return seen
        after = page.events[-1].position


def kinds(seen: list[Event]) -> list[tuple[EventKind, int]]:
    return [(event.kind, event.attempt) for event in seen]


def report(database: Database, job_id: UUID, attempt: int, *seqs: int) -> None:
    for seq in seqs:
        with database.begin() as connection:
            report_progress(
                connection, [ProgressReport(AttemptId(job_id, attempt), seq, float(seq), 10.0, "step", None)]
            )


def eventful(database: Database, factory: Factory) -> UUID:
    """Make a job that failed, was handed back, was asked to stop, and stopped; with progress in each attempt."""
    job_id = factory.submit()
    first = factory.claim(job_id, 1)
    report(database, job_id, 1, 1, 2, 3)
    factory.end(first, Outcome.retry_later(replace(ERROR, attempt=1), delay=3600.0))
    make_due(database, job_id)
    with database.begin() as connection:
        promote(connection)
    second = factory.claim(job_id, 2)
    report(database, job_id, 2, 1)
    factory.end(second, Outcome.release())
    third = factory.claim(job_id, 3)
    report(database, job_id, 3, 1, 2)
    with database.begin() as connection:
        cancel(connection, job_id)
    report(database, job_id, 3, 3)
    factory.end(third, Outcome.cancel(JobError(Reason.CANCELLED, "Cancelled", "Stopped.", 3)))
    return job_id


EVENTFUL = [
    (SUBMITTED, 0),
    (STARTED, 1), (PROGRESS, 1), (PROGRESS, 1), (PROGRESS, 1), (RETRY, 1),
    (STARTED, 2), (PROGRESS, 2), (RELEASED, 2),
    (STARTED, 3), (PROGRESS, 3), (PROGRESS, 3), (ASKED, 3), (PROGRESS, 3), (FINISHED, 3),
]  # fmt: skip


def test_events_are_complete_and_in_order(database: Database, factory: Factory) -> None:
    job_id = eventful(database, factory)
    seen = events(database, job_id)
    assert kinds(seen) == EVENTFUL
    assert [event.at for event in seen] == sorted(event.at for event in seen)
    assert len({event.position for event in seen}) == len(seen)
    assert [event.current for event in seen if event.attempt == 1 and event.kind is PROGRESS] == [1, 2, 3]
    retry, end = seen[5], seen[-1]
    assert retry.error is not None
    assert "no such thing" in retry.error
    assert (end.status, end.error is not None and "Stopped." in end.error) == (Status.CANCELLED, True)


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_have_neither_gap_nor_repeat(database: Database, factory: Factory, limit: int) -> None:
    job_id = eventful(database, factory)
    assert events(database, job_id, limit=limit) == events(database, job_id)


def test_after_each_event_the_rest_follows(database: Database, factory: Factory) -> None:
    job_id = eventful(database, factory)
    seen = events(database, job_id)
    for index, event in enumerate(seen):
        restored = EventPosition.parse(str(event.position))
        assert restored is not None
        assert events(database, job_id, restored) == seen[index + 1 :]


def test_a_job_that_is_polled_while_it_runs_has_the_same_events(database: Database, factory: Factory) -> None:
    job_id = factory.submit()
    live = events(database, job_id)

    def poll() -> None:
        live.extend(events(database, job_id, live[-1].position))

    claimed = factory.claim(job_id)
    poll()
    report(database, job_id, 1, 1)
    poll()
    with database.begin() as connection:
        cancel(connection, job_id)
    poll()
    report(database, job_id, 1, 2)
    poll()
    factory.end(claimed, OUTCOMES[Status.CANCELLED])
    poll()
    assert live == events(database, job_id)
    assert kinds(live) == [(SUBMITTED, 0), (STARTED, 1), (PROGRESS, 1), (ASKED, 1), (PROGRESS, 1), (FINISHED, 1)]


def test_a_request_to_cancel_that_overtakes_a_report_hides_nothing(database: Database, factory: Factory) -> None:
    # Times are those at which transactions began, so a report may be older than the request seen before it.
    job_id = factory.submit()
    factory.claim(job_id)
    with database.begin() as connection:
        cancel(connection, job_id)
    seen = events(database, job_id)
    assert kinds(seen)[-1] == (ASKED, 1)
    report(database, job_id, 1, 1)
    with database.begin() as connection:
        earlier = {"reported_at": seen[-1].at - timedelta(milliseconds=5)}
        connection.execute(update(job_progress).where(job_progress.c.job_id == job_id).values(earlier))
    assert kinds(events(database, job_id, seen[-1].position)) == [(PROGRESS, 1)]
    everything = events(database, job_id)
    assert kinds(everything)[-2:] == [(PROGRESS, 1), (ASKED, 1)]
    for index, event in enumerate(everything):
        assert events(database, job_id, event.position) == everything[index + 1 :]


@pytest.mark.parametrize("status", list(Status))
def test_every_state_has_its_events(database: Database, factory: Factory, status: Status) -> None:
    job_id = factory.in_state(status)
    seen = kinds(events(database, job_id))
    expected = {
        Status.RUNNING: [(STARTED, 1)],
        Status.RETRYING: [(STARTED, 1), (RETRY, 1)],
        Status.SUCCEEDED: [(STARTED, 1), (FINISHED, 1)],
        Status.FAILED: [(STARTED, 1), (FINISHED, 1)],
        Status.CANCELLED: [(ASKED, 0), (FINISHED, 0)],
        Status.EXPIRED: [(FINISHED, 0)],
    }
    assert seen == [(SUBMITTED, 0), *expected.get(status, [])]


def test_a_retry_names_the_next_attempt_while_it_is_ahead(database: Database, factory: Factory) -> None:
    job_id = factory.in_state(Status.RETRYING)
    (retry,) = [event for event in events(database, job_id) if event.kind is RETRY]
    assert retry.next_attempt_at is not None
    assert retry.next_attempt_at > retry.at


def test_what_follows_after_a_retry_by_hand_is_new_to_who_saw_the_end(database: Database, factory: Factory) -> None:
    for status, attempt in ((Status.CANCELLED, 1), (Status.FAILED, 2)):
        job_id = factory.in_state(status)
        seen = events(database, job_id)
        with database.begin() as connection:
            assert reopen(connection, job_id)
        assert events(database, job_id, seen[-1].position) == []
        factory.end(factory.claim(job_id, attempt), OUTCOMES[Status.SUCCEEDED])
        rest = events(database, job_id, seen[-1].position)
        assert kinds(rest) == [(STARTED, attempt), (FINISHED, attempt)]


def test_a_job_that_is_cancelled_again_before_it_starts_ends_again(database: Database, factory: Factory) -> None:
    job_id = factory.in_state(Status.CANCELLED)
    seen = events(database, job_id)
    with database.begin() as connection:
        assert reopen(connection, job_id)
    with database.begin() as connection:
        assert cancel(connection, job_id)
    assert kinds(events(database, job_id, seen[-1].position)) == [(ASKED, 0), (FINISHED, 0)]


def test_only_jobs_that_changed_are_told(database: Database, factory: Factory) -> None:
    running, queued, gone = factory.in_state(Status.RUNNING), factory.submit(), factory.in_state(Status.SUCCEEDED)
    unknown = new_id()
    known = read(database, *map(Watch, (running, queued, gone, unknown)))
    assert known[unknown] == JobEvents(revision=None, events=[], more=False, done=False)
    assert [known[job_id].done for job_id in (running, queued, gone)] == [False, False, True]
    watches = [
        Watch(job_id, known[job_id].events[-1].position, known[job_id].revision or 0)
        for job_id in (running, queued, gone)
    ]
    assert read(database, *watches) == {}
    report(database, running, 1, 1)
    with database.begin() as connection:
        assert erase(connection, gone)
    changed = read(database, *watches)
    assert changed.keys() == {running, gone}
    assert [event.kind for event in changed[running].events] == [PROGRESS]
    assert changed[gone].revision is None
