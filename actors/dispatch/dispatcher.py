"""The dispatcher: publishes what is due, in priority order, and keeps only a short window in the broker."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import structlog
from sqlalchemy import Connection

from callboard.actors.broker.transport import Dispatch, Transport, TransportError
from callboard.actors.dispatch.listener import Listener
from callboard.actors.dispatch.pacing import Pacing
from callboard.actors.loop import Loop
from callboard.actors.metrics import BROKER_FAILURES, DISPATCH_ROUND, PUBLISHED
from callboard.db.dispatching.due import QueueLimits, next_jobs, queues_in_flight, seconds_until_due, take_queues
from callboard.db.dispatching.rate_limits import take_tokens
from callboard.db.rules.backoff import Backoff
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.db.sql.pipeline import RowDict
from callboard.db.transitions import AttemptId, mark_dispatched, promote, undispatch

_log = structlog.get_logger(__name__)

_PROMOTE_AT_ONCE = 1000
# So many jobs of a queue are looked up together with the queues that have any.
_HEADS = 50
# Least seconds from one look to that which a hint asks for, while jobs are left over: hints come all the time then.
_BETWEEN_LOOKS = 0.02
_READY_FOR = 30.0
_FIRST_BROKER_PAUSE = 0.5
_LONGEST_BROKER_PAUSE = 5.0


class Dispatcher:
    """One dispatcher. Several may run: each queue has one at a time, whoever takes it first."""

    def __init__(self, settings: Settings, database: Database, transport: Transport) -> None:
        self._settings = settings
        self._database = database
        self._connection = database.pinned(transactional=True)
        self._transport = transport
        self._next_due = 0.0
        self._heard = False
        self._next_reconcile = 0.0
        self._broker_backoff = Backoff(_FIRST_BROKER_PAUSE, _LONGEST_BROKER_PAUSE)
        self._last_round = -math.inf
        # What the database believes to be in a transport that starts empty is dispatched again at once.
        self._lost_all = transport.starts_empty
        self._windows = Pacing()
        self._crowded = True
        self._not_before = 0.0
        # Messages that may wait in each queue of the broker, as far as this dispatcher knows.
        self._at_most: dict[str, int] = {}
        self._loop = Loop(
            "dispatcher", self._step, interval=settings.dispatch_poll_interval, at_end=self._connection.close
        )
        self._listener = Listener(settings, self._hear)

    @property
    def alive(self) -> bool:
        """Whether the dispatcher's thread runs."""
        return self._loop.alive

    @property
    def ready(self) -> bool:
        """Whether database and broker let it do a round of its work in the last half minute."""
        return time.monotonic() - self._last_round < _READY_FOR

    def start(self) -> None:
        self._listener.start()
        self._loop.start()

    def stop(self) -> None:
        """Finish the step under way, then stop."""
        self._listener.stop()
        self._loop.stop(timeout=self._settings.confirm_timeout + 5)
        self._transport.close()

    def _hear(self) -> None:
        self._heard = True
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
            backlog = self._dispatch()
            self._crowded = backlog is not None
        except TransportError as error:
            return self._broker_away(error)
        self._broker_backoff.reset()
        self._last_round = time.monotonic()
        if self._heard:
            # After the dispatch, which must not wait for it: what became known may be due before what was known.
            self._look_ahead()
        if backlog is not None:
            self._not_before = self._last_round + min(backlog, _BETWEEN_LOOKS)
            return backlog
        return max(0.0, min(self._next_due - time.monotonic(), self._settings.dispatch_poll_interval))

    def _promote(self) -> None:
        with self._database.autocommit() as connection:
            promote(connection, limit=_PROMOTE_AT_ONCE)
        self._look_ahead()

    def _look_ahead(self) -> None:
        self._heard = False
        self._next_due = 0.0  # where this fails: the next step looks again
        with self._connection.use() as connection:
            until_due = seconds_until_due(connection, commit=True)
        longest = self._settings.dispatch_poll_interval
        self._next_due = time.monotonic() + (longest if until_due is None else min(until_due, longest))

    def _dispatch(self) -> float | None:
        """Publish what fits into the windows; return when to go on if jobs are left that did not fit, else None."""
        begun = time.monotonic()
        with self._connection.use() as connection:
            taken = take_queues(
                connection,
                default_window=self._settings.dispatch_window,
                heads=0 if self._crowded else _HEADS,
            )
            limits = taken.limits
            if not limits:
                return None
            if not self._crowded and self._all_fit(limits, Counter(row["queue"] for row in taken.heads)):
                waiting = _dispatches(taken.heads)
                if len(self._publish(connection, waiting)) == len(waiting):
                    DISPATCH_ROUND.observe(time.monotonic() - begun)
                    return None
                self._at_most.clear()
                return 0.0
            depths = self._transport.depths(sorted(limits))
            self._at_most |= depths
            # Nothing goes to a queue that the broker refuses: it is left out of the depths.
            rooms = {queue: room for queue, depth in depths.items() if (room := limits[queue].room(depth)) > 0}
            if not rooms:
                return self._windows.pause(begun, limits, depths, {}) if depths else None
            waiting = _dispatches(next_jobs(connection, rooms))
            confirmed = self._publish(connection, _within_rates(connection, limits, waiting))
        DISPATCH_ROUND.observe(time.monotonic() - begun)
        if len(confirmed) == len(waiting) and len(rooms) == len(depths) and not _filled(waiting, rooms):
            return None
        return self._windows.pause(begun, limits, depths, Counter(each.queue for each in confirmed))

    def _all_fit(self, limits: Mapping[str, QueueLimits], heads: Mapping[str, int]) -> bool:
        """Whether the first jobs of these queues are all that wait, and have room however few have left the broker.

        That spares an idle system the question to the broker. Other dispatchers may have published, too: a queue then
        has a window for each dispatcher, at most, before one asks.
        """
        return all(
            heads[queue] < _HEADS
            and limit.rate is None
            and queue in self._at_most
            and heads[queue] <= limit.room(self._at_most[queue])
            for queue, limit in limits.items()
        )

    def _publish(self, connection: Connection, due: Sequence[Dispatch]) -> Sequence[Dispatch]:
        """Publish jobs, and commit that those which are returned have arrived."""
        confirmed = self._transport.publish(due)
        published = Counter(each.queue for each in confirmed)
        for queue, count in published.items():
            PUBLISHED.labels(queue).inc(count)
            self._at_most[queue] += count
        if confirmed:
            mark_dispatched(connection, [each.attempt_id for each in confirmed], commit=True)
        return confirmed

    def _reconcile(self) -> None:
        """Take back what was published but is in the broker no more, and nobody has claimed."""
        with self._database.begin() as connection:
            queues = queues_in_flight(connection)
        if not queues:
            self._lost_all = False
            return
        depths = self._transport.depths(queues)
        older_than = 0.0 if self._lost_all else self._settings.reconcile_after
        with self._database.begin() as connection:
            for queue in queues:
                # A queue that is not empty still has their messages, as far as anybody can tell.
                if depths.get(queue) == 0 and (count := undispatch(connection, queue, older_than=older_than)):
                    _log.info("redispatching", queue=queue, jobs=count)
        self._lost_all = False

    def _broker_away(self, error: TransportError) -> float:
        pause = self._broker_backoff.next()
        self._at_most.clear()
        BROKER_FAILURES.inc()
        _log.warning("broker_away", reason=str(error), retry_in=pause)
        return pause


def _dispatches(rows: Iterable[RowDict]) -> list[Dispatch]:
    return [Dispatch(AttemptId(row["id"], row["attempt"]), row["type"], row["queue"], row["priority"]) for row in rows]


def _within_rates(
    connection: Connection, limits: Mapping[str, QueueLimits], due: Sequence[Dispatch]
) -> Sequence[Dispatch]:
    """Return those jobs, the first of each queue, that the rates of their queues let start now."""
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


def _filled(due: list[Dispatch], rooms: Mapping[str, int]) -> bool:
    """Whether some queue had at least as many jobs as room."""
    counts = Counter(each.queue for each in due)
    return any(counts[queue] >= room for queue, room in rooms.items())
