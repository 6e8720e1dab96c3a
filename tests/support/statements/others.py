"""What else is asked and written, each in every way in which it sends other statements."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from callboard.db.attempt.checkpoints import (
    delete_settled_checkpoints,
    read_checkpoint,
    read_step,
    save_checkpoint,
    save_step,
)
from callboard.db.attempt.progress import ProgressReport, report_progress
from callboard.db.dispatching.due import anything_due, next_jobs, queues_in_flight, seconds_until_due, take_queues
from callboard.db.dispatching.queues import QueueChange, change_queue, ensure_queues, list_queues, queue_names
from callboard.db.dispatching.rate_limits import Rate, delete_full_buckets, take_tokens
from callboard.db.fleet.expired_rows import delete_expired_keys, delete_old_workers
from callboard.db.fleet.gauges import read_gauges
from callboard.db.fleet.pace import read_pace
from callboard.db.fleet.workers import (
    WorkerBoot,
    WorkerState,
    abandoned_attempts,
    declare_dead,
    declare_lost,
    heartbeat,
    list_workers,
    read_workforce,
    register_worker,
    stop_requests,
    unheld_attempts,
)
from callboard.db.history.failures import group_failures
from callboard.db.history.retention import START, Rule, set_rule, sweep
from callboard.db.history.rollups import (
    Bucket,
    Dimension,
    count_anew,
    first_hour,
    follow,
    freeze,
    recount_next,
    summarise,
)
from callboard.db.models import job_history, jobs
from callboard.db.reads.change_feed import current_moment, read_changes
from callboard.db.reads.exports import EXTRA, export_piece
from callboard.db.reads.indexed import read_in_order
from callboard.db.reads.job_filter import JobFilter
from callboard.db.reads.jobs import (
    count_live,
    count_live_of,
    count_matching,
    get_jobs,
    get_payload,
    get_states,
    list_attempts,
    matching_jobs,
)
from callboard.db.reads.lists import count_jobs, list_jobs
from callboard.db.reads.timeline import Watch, read_events
from callboard.db.rules.attempts import AttemptId
from callboard.db.rules.ids import first_id, new_id
from callboard.db.rules.snapshot import Snapshot
from callboard.db.rules.states import Status
from tests.support.factory import QUEUE
from tests.support.statements.stage import Example, Stage

_THEN: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
_HOUR: Final = timedelta(hours=1)
_OF_OWNER: Final = JobFilter(owner="owner")
_EVERYTHING: Final = JobFilter(
    statuses=frozenset({Status.FAILED, Status.CANCELLED}),
    type="test.job",
    queue=QUEUE,
    owner="owner",
    tags={"a": "b"},
    created_after=_THEN,
    created_before=_THEN + _HOUR,
    parent_id=new_id(),
)
_BOOT: Final = WorkerBoot(new_id(), "host-1", host="host", pid=1, version="1", queues=[QUEUE], threads=8)


def _page_by_several(connection: Connection, stage: Stage) -> None:
    for _ in range(3):
        stage.submit()
        stage.in_state(Status.FAILED)
    list_jobs(connection, JobFilter(owner="owner", type="test.job"), limit=20, scan_limit=1)


def _later_tokens(connection: Connection, stage: Stage) -> None:
    stage.do(lambda other: take_tokens(other, "bucket", Rate(100.0), least=1, most=1))
    take_tokens(connection, "bucket", Rate(100.0), least=1, most=10)


def _follow(connection: Connection, stage: Stage) -> None:
    stage.do(recount_next)  # makes the row that is held
    last_hour = text("UPDATE callboard.history_rollup_state SET followed_at = now() - interval '2 hours'")
    stage.do(lambda other: other.execute(last_hour))
    follow(connection, late=60.0)


def _recount(connection: Connection, stage: Stage, *, ago: timedelta) -> None:
    noted = datetime.now(UTC) - ago
    stage.do(recount_next)
    stage.do(lambda other: count_anew(other, noted, noted))
    recount_next(connection)


def _freeze(connection: Connection, stage: Stage) -> None:
    stage.do(recount_next)
    freeze(connection, _THEN)


def _sweep(connection: Connection, stage: Stage) -> None:
    job_id = stage.in_state(Status.FAILED)
    old = {"id": job_id, "old_id": first_id(_THEN), "at": _THEN}
    ageing = text("UPDATE callboard.job_history SET id = :old_id, created_at = :at, finished_at = :at WHERE id = :id")
    stage.do(lambda other: other.execute(ageing, old))
    stage.do(lambda other: set_rule(other, Rule("test.job", "failed", 1)))
    sweep(connection, START)


def _summary(connection: Connection, bucket: Bucket | None, owner: str | None) -> None:
    days = timedelta(days=3)
    summarise(connection, _THEN, _THEN + days, bucket=bucket, by=Dimension.TYPE, owner=owner, groups=20)


OTHERS: Final = (
    Example((take_queues,), lambda c, _: take_queues(c, default_window=100, first_jobs=20)),
    Example((next_jobs,), lambda c, _: next_jobs(c, {QUEUE: 100})),
    Example((seconds_until_due,), lambda c, _: seconds_until_due(c)),
    Example((queues_in_flight,), lambda c, _: queues_in_flight(c)),
    Example((anything_due,), lambda c, _: anything_due(c, [QUEUE]), "for each queue"),
    Example((take_tokens,), lambda c, _: take_tokens(c, "bucket", Rate(100.0), least=1, most=10), "the first time"),
    Example((take_tokens,), _later_tokens, "later"),
    Example((delete_full_buckets,), lambda c, _: delete_full_buckets(c)),
    Example((ensure_queues,), lambda c, _: ensure_queues(c, ["one", "two"]), "two"),
    Example((queue_names,), lambda c, _: queue_names(c)),
    Example((change_queue,), lambda c, _: change_queue(c, QUEUE, QueueChange({"paused": True})), "paused"),
    Example((list_queues,), lambda c, _: list_queues(c)),
    Example((register_worker,), lambda c, _: register_worker(c, _BOOT)),
    Example((heartbeat,), lambda c, _: heartbeat(c, new_id(), WorkerState.RUNNING)),
    Example((stop_requests,), lambda c, _: stop_requests(c, [AttemptId(new_id(), 1)])),
    Example((unheld_attempts,), lambda c, _: unheld_attempts(c, new_id(), [], older_than=60.0)),
    Example((declare_lost,), lambda c, _: declare_lost(c, lease_ttl=60.0)),
    Example((declare_dead,), lambda c, _: declare_dead(c, host="host", pid=1)),
    Example((abandoned_attempts,), lambda c, _: abandoned_attempts(c)),
    Example((list_workers,), lambda c, _: list_workers(c)),
    Example((read_pace,), lambda c, _: read_pace(c)),
    Example((read_workforce,), lambda c, _: read_workforce(c, lease_ttl=60.0)),
    Example((delete_old_workers,), lambda c, _: delete_old_workers(c)),
    Example((delete_expired_keys,), lambda c, _: delete_expired_keys(c)),
    Example((read_gauges,), lambda c, _: read_gauges(c)),
    Example(
        (report_progress,),
        lambda c, _: report_progress(c, [ProgressReport(AttemptId(new_id(), 1), 1, 1.0, 2.0, None, None)]),
    ),
    Example((read_checkpoint, read_step), lambda c, _: read_checkpoint(c, new_id(), 1)),
    Example((save_checkpoint,), lambda c, _: save_checkpoint(c, new_id(), 1, b"{}")),
    Example((save_step,), lambda c, stage: save_step(c, new_id(), 1, "key", b"{}")),
    Example((delete_settled_checkpoints,), lambda c, _: delete_settled_checkpoints(c, new_id())),
    Example((get_jobs,), lambda c, _: get_jobs(c, [new_id()])),
    Example((get_states,), lambda c, _: get_states(c, [new_id()])),
    Example((get_payload,), lambda c, _: get_payload(c, new_id())),
    Example((list_attempts,), lambda c, _: list_attempts(c, new_id())),
    Example((read_in_order,), lambda c, _: read_in_order(c)),
    Example((list_jobs,), lambda c, _: list_jobs(c, JobFilter(), limit=20), "all, the first page"),
    Example(
        (list_jobs,),
        lambda c, _: list_jobs(c, _OF_OWNER, limit=20, before=new_id()),
        "of one owner, a later page",
    ),
    Example((list_jobs,), _page_by_several, "of one owner and one type, which no index knows together"),
    Example((count_jobs,), lambda c, _: count_jobs(c, _OF_OWNER), "of one owner"),
    Example((matching_jobs,), lambda c, _: matching_jobs(c, jobs, _OF_OWNER, before=new_id(), limit=9), "live"),
    Example((matching_jobs,), lambda c, _: matching_jobs(c, job_history, _OF_OWNER, before=new_id(), limit=9), "done"),
    Example((count_matching,), lambda c, _: count_matching(c, jobs, _OF_OWNER, before=new_id(), most=9), "live"),
    Example((count_matching,), lambda c, _: count_matching(c, job_history, _OF_OWNER, before=new_id(), most=9), "done"),
    Example((count_live,), lambda c, _: count_live(c, owner="owner"), "of one owner"),
    Example((count_live_of,), lambda c, _: count_live_of(c, "owner", most=1000)),
    Example((current_moment,), lambda c, _: current_moment(c)),
    Example((read_changes,), lambda c, _: read_changes(c, Snapshot.of(_THEN, "1:1:"), limit=100, late=60.0)),
    Example((read_events,), lambda c, _: read_events(c, [Watch(new_id())], limit=100)),
    Example((export_piece,), lambda c, _: export_piece(c, JobFilter(), after=None, scan_limit=1000), "all, the first"),
    Example(
        (export_piece,),
        lambda c, _: export_piece(c, _EVERYTHING, after=new_id(), scan_limit=1000, extra=EXTRA),
        "by everything that can be asked for, with payloads and results, a later one",
    ),
    Example((group_failures,), lambda c, _: group_failures(c, _THEN, _THEN + _HOUR, limit=20), "all"),
    Example((follow,), _follow, "the first time in an hour"),
    Example((recount_next,), lambda c, stage: _recount(c, stage, ago=timedelta()), "of the present hour"),
    Example((recount_next,), lambda c, stage: _recount(c, stage, ago=timedelta(days=2)), "of an hour of the past"),
    Example((count_anew,), lambda c, _: count_anew(c, _THEN, _THEN)),
    Example((first_hour,), lambda c, _: first_hour(c)),
    Example((freeze,), _freeze),
    Example((summarise,), lambda c, _: _summary(c, Bucket.HOUR, None), "by type, hour by hour"),
    Example((summarise,), lambda c, _: _summary(c, None, "owner"), "by type, of one owner, in one period of some days"),
    Example((sweep,), _sweep, "with a job that has to go"),
)
