"""The dispatcher: publishes due jobs in priority order, and keeps only a short window of them in the broker."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import structlog
from sqlalchemy import Connection

from callboard.actors.broker.transport import Dispatch, Transport, TransportError
from callboard.actors.dispatch.listener import Listener
from callboard.actors.dispatch.metrics import BROKER_FAILURES, DISPATCH_ROUND, PUBLISHED
from callboard.actors.dispatch.pacing import Pacing
from callboard.actors.loop import Loop
from callboard.db.dispatching.due import QueueLimits, next_jobs, queues_in_flight, seconds_until_due, take_queues
from callboard.db.dispatching.rate_limits import take_tokens
from callboard.db.rules.backoff import Backoff
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.db.sql.pipeline import RowDict
from callboard.db.transitions import AttemptId, mark_dispatched, promote, undispatch

_log = structlog.get_logger(__name__)

_PROMOTE_BATCH = 1000
# First jobs of each queue that are read in the same round trip as the queues.
_FIRST_JOBS = 50
# Least seconds between two rounds while windows are full: notifications arrive all the time then.
_LEAST_PAUSE = 0.02
# Rounds in a row that find nothing, after which the least pause is between them, too: anybody who may connect to the
# database may notify, and as often as they like.
_IDLE_ROUNDS = 10
_READY_FOR = 30.0
_FIRST_BROKER_PAUSE = 0.5
_LONGEST_BROKER_PAUSE = 5.0


class Dispatcher:
    """One dispatcher. Several may run: a lock gives each queue to one of them at a time."""

    def __init__(self, settings: Settings, database: Database, transport: Transport) -> None:
        self._settings = settings
        self._database = database
        self._connection = database.pinned(transactional=True)
        self._transport = transport
        self._next_due = 0.0
        self._notified = False
        self._next_reconcile = 0.0
        self._broker_backoff = Backoff(_FIRST_BROKER_PAUSE, _LONGEST_BROKER_PAUSE)
        self._last_round = -math.inf
        # Jobs that are marked as dispatched are not in a transport that starts empty, and are dispatched again at once.
        self._lost_all = transport.starts_empty
        self._pacing = Pacing()
        self._congested = True
        self._not_before = 0.0
        self._idle_rounds = 0
        # An upper bound of the messages that wait in each queue of the broker, unless other dispatchers publish, too.
        self._most_waiting: dict[str, int] = {}
        self._loop = Loop(
            "dispatcher", self._step, interval=settings.dispatch_poll_interval, at_end=self._connection.close
        )
        self._listener = Listener(settings, self._on_notification)

    @property
    def alive(self) -> bool:
        """Whether the dispatcher's thread runs."""
        return self._loop.alive

    @property
    def ready(self) -> bool:
        """Whether a round of dispatch succeeded in the last 30 seconds."""
        return time.monotonic() - self._last_round < _READY_FOR

    def start(self) -> None:
        self._listener.start()
        self._loop.start()

    def stop(self) -> None:
        """Finish the current step, then stop."""
        self._listener.stop()
        self._loop.stop(timeout=self._settings.confirm_timeout + 5)
        self._transport.close()

    def _on_notification(self) -> None:
        self._notified = True
        self._loop.wake()

    def _step(self) -> float | None:
        now = time.monotonic()
        if now < self._not_before:
            return self._not_before - now
        if now >= self._next_due:
            self._promote()
        try:
            if now >= self._next_reconcile:
                self._reconcile()
                self._next_reconcile = now + self._settings.reconcile_after / 3
            pause = self._dispatch()
            self._congested = pause is not None
        except TransportError as error:
            return self._broker_away(error)
        self._broker_backoff.reset()
        self._last_round = time.monotonic()
        if self._notified:
            # After the dispatch, which must not wait for it: a new job may be due before those known so far.
            self._read_next_due()
        if pause is not None:
            self._not_before = self._last_round + min(pause, _LEAST_PAUSE)
            return pause
        if self._idle_rounds > _IDLE_ROUNDS:
            self._not_before = self._last_round + _LEAST_PAUSE
        return max(0.0, min(self._next_due - time.monotonic(), self._settings.dispatch_poll_interval))

    def _promote(self) -> None:
        with self._database.autocommit() as connection:
            promote(connection, limit=_PROMOTE_BATCH)
        self._read_next_due()

    def _read_next_due(self) -> None:
        self._notified = False
        self._next_due = 0.0  # if the statement fails, the next step executes it again
        with self._connection.use() as connection:
            until_due = seconds_until_due(connection, commit=True)
        longest = self._settings.dispatch_poll_interval
        self._next_due = time.monotonic() + (longest if until_due is None else min(until_due, longest))

    def _dispatch(self) -> float | None:
        """Fill the windows; return the seconds until the next round if jobs are left that did not fit, else None."""
        begun = time.monotonic()
        with self._connection.use() as connection:
            taken = take_queues(
                connection,
                default_window=self._settings.dispatch_window,
                first_jobs=0 if self._congested else _FIRST_JOBS,
            )
            limits = taken.limits
            self._idle_rounds = 0 if limits else self._idle_rounds + 1
            if not limits:
                return None
            if not self._congested and self._all_fit(limits, Counter(row["queue"] for row in taken.first_jobs)):
                waiting = _dispatches(taken.first_jobs)
                if len(self._publish(connection, waiting, limits)) == len(waiting):
                    DISPATCH_ROUND.observe(time.monotonic() - begun)
                    return None
                self._most_waiting.clear()
                return 0.0
            depths = self._transport.depths(sorted(limits))
            self._most_waiting |= depths
            # A queue that the broker refuses is not in the depths, and gets nothing.
            capacities = {
                queue: capacity for queue, depth in depths.items() if (capacity := limits[queue].capacity(depth)) > 0
            }
            if not capacities:
                return self._pacing.pause(begun, limits, depths, {}) if depths else None
            waiting = _dispatches(next_jobs(connection, capacities))
            published = self._publish(connection, _within_rates(connection, limits, waiting), limits)
        DISPATCH_ROUND.observe(time.monotonic() - begun)
        if len(published) == len(waiting) and len(capacities) == len(depths) and not _any_filled(waiting, capacities):
            return None
        return self._pacing.pause(begun, limits, depths, Counter(each.queue for each in published))

    def _all_fit(self, limits: Mapping[str, QueueLimits], first_jobs: Mapping[str, int]) -> bool:
        """Return whether the first jobs of these queues are all that wait, and fit into their windows in any case.

        An idle system then need not ask the broker for depths. Other dispatchers may have published, too: at most, a
        queue has one window per dispatcher in the broker before one of them asks.

        Args:
            limits: by queue.
            first_jobs: number of first jobs that were read, by queue.
        """
        return all(
            first_jobs[queue] < _FIRST_JOBS
            and limit.rate is None
            and queue in self._most_waiting
            and first_jobs[queue] <= limit.capacity(self._most_waiting[queue])
            for queue, limit in limits.items()
        )

    def _publish(
        self, connection: Connection, due: Sequence[Dispatch], limits: Mapping[str, QueueLimits]
    ) -> Sequence[Dispatch]:
        """Publish jobs, mark them and commit; return those that are marked.

        Where only the window bounds a queue, jobs are marked once the broker has confirmed them: after a crash in
        between, their messages are repeated at once. Where starts are bounded, they are marked and counted before they
        are sent: whatever crashes, a message that may exist has its mark, and what had its mark and was never sent is
        dispatched again by reconciling.
        """
        bounded = [each for each in due if limits[each.queue].bounds_starts]
        confirmed = self._transport.publish([each for each in due if not limits[each.queue].bounds_starts])
        marked = [*confirmed, *bounded]
        self._count(confirmed)
        if marked:
            mark_dispatched(connection, [each.attempt_id for each in marked], durable=bool(bounded), commit=True)
        if bounded:
            certain = self._transport.publish(bounded)
            self._count(certain)
            if len(certain) < len(bounded):
                # They may have arrived, so they count.
                _log.warning("not_confirmed", jobs=len(bounded) - len(certain), again_in=self._settings.reconcile_after)
        return marked

    def _count(self, confirmed: Sequence[Dispatch]) -> None:
        for queue, count in Counter(each.queue for each in confirmed).items():
            PUBLISHED.labels(queue).inc(count)
            self._most_waiting[queue] += count

    def _reconcile(self) -> None:
        """Have jobs dispatched again that were dispatched, and are neither claimed nor in the broker."""
        with self._database.begin() as connection:
            queues = queues_in_flight(connection)
        if not queues:
            self._lost_all = False
            return
        depths = self._transport.depths(queues)
        older_than = 0.0 if self._lost_all else self._settings.reconcile_after
        with self._database.begin() as connection:
            for queue in queues:
                # A queue that is not empty may still have their messages.
                if depths.get(queue) == 0 and (count := undispatch(connection, queue, older_than=older_than)):
                    _log.info("redispatching", queue=queue, jobs=count)
        self._lost_all = False

    def _broker_away(self, error: TransportError) -> float:
        pause = self._broker_backoff.next()
        self._most_waiting.clear()
        BROKER_FAILURES.inc()
        _log.warning("broker_away", reason=str(error), retry_in=pause)
        return pause


def _dispatches(rows: Iterable[RowDict]) -> list[Dispatch]:
    return [Dispatch(AttemptId(row["id"], row["attempt"]), row["type"], row["queue"], row["priority"]) for row in rows]


def _within_rates(
    connection: Connection, limits: Mapping[str, QueueLimits], due: Sequence[Dispatch]
) -> Sequence[Dispatch]:
    """Return the first jobs of each queue, as many as its rate lets start now."""
    if all(limits[queue].rate is None for queue in {each.queue for each in due}):
        return due
    left = Counter(each.queue for each in due)
    for queue, jobs in list(left.items()):
        if (rate := limits[queue].rate) is not None:
            left[queue] = take_tokens(connection, f"queue {queue}", rate, least=1, most=jobs).tokens
    granted = []
    for each in due:
        if left[each.queue]:
            left[each.queue] -= 1
            granted.append(each)
    return granted


def _any_filled(due: Sequence[Dispatch], capacities: Mapping[str, int]) -> bool:
    """Return whether some queue had at least as many jobs as capacity."""
    counts = Counter(each.queue for each in due)
    return any(counts[queue] >= capacity for queue, capacity in capacities.items())
