"""How the dispatcher gets jobs from the database into the broker."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, func, select, text, update

from callboard.actors.broker.local import LocalBroker, LocalTransport
from callboard.actors.broker.transport import Dispatch
from callboard.actors.dispatch.dispatcher import Dispatcher
from callboard.db.models import jobs, queues
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database, PinnedConnection
from callboard.db.sql.notify import notify_dispatcher
from tests.support.factory import QUEUE, Factory
from tests.support.locks import backend_of, terminate_blocked_by
from tests.support.until import until


class Watched(LocalTransport):
    """Counts the requests for depths by queue, and confirms nothing while there are refusals left."""

    def __init__(self) -> None:
        self.broker = LocalBroker()
        super().__init__(self.broker)
        self.asked: Counter[str] = Counter()
        self.refusals = 0
        self.before_publish: Callable[[], None] = lambda: None

    def depths(self, queues: Sequence[str]) -> Mapping[str, int]:
        self.asked.update(queues)
        return super().depths(queues)

    def publish(self, dispatches: Sequence[Dispatch]) -> Sequence[Dispatch]:
        self.before_publish()
        if dispatches and self.refusals:
            self.refusals -= 1
            return ()
        return super().publish(dispatches)

    def take_all(self, queue: str = QUEUE) -> None:
        """Take the messages that wait, as workers do."""
        mailbox = self.broker.mailbox(queue)
        with mailbox.changed:
            while len(mailbox):
                mailbox.take()

    def waiting(self, queue: str = QUEUE) -> int:
        """Return how many messages wait in a queue of the broker."""
        return len(self.broker.mailbox(queue))


@pytest.fixture
def transport() -> Watched:
    return Watched()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """No polls, only notifications, and a small window."""
    return settings.model_copy(update={"dispatch_poll_interval": 60.0, "dispatch_window": 4, "reconcile_after": 600.0})


@contextmanager
def dispatching(settings: Settings, database: Database, transport: Watched) -> Iterator[Dispatcher]:
    dispatcher = Dispatcher(settings, database, transport)
    dispatcher.start()
    try:
        yield dispatcher
    finally:
        dispatcher.stop()


def dispatched(database: Database) -> int:
    """Return how many jobs are marked as sent."""
    with database.begin() as connection:
        sent = select(func.count()).where(jobs.c.dispatched_at.is_not(None))
        return int(connection.execute(sent).scalar_one())


def test_the_broker_is_asked_only_when_its_queue_may_be_full(
    settings: Settings, database: Database, factory: Factory, transport: Watched
) -> None:
    with dispatching(settings, database, transport):
        for count in range(1, 5):
            factory.submit()
            notify_dispatcher(database)
            until(lambda count=count: dispatched(database) == count)  # type: ignore[misc]
        assert transport.asked == {QUEUE: 1}

        factory.submit()
        notify_dispatcher(database)
        until(lambda: transport.asked[QUEUE] > 2)
        assert transport.waiting() == dispatched(database) == settings.dispatch_window

        transport.take_all()
        until(lambda: dispatched(database) == 5)
        assert transport.waiting() == 1


def test_many_jobs_at_once_fill_the_window_and_no_more(
    settings: Settings, database: Database, factory: Factory, transport: Watched
) -> None:
    with dispatching(settings, database, transport):
        first = factory.submit()
        notify_dispatcher(database)
        until(lambda: dispatched(database) == 1)
        rest = factory.submit_all(*(factory.new_job(priority=number % 10) for number in range(200)))
        notify_dispatcher(database)
        until(lambda: transport.waiting() == settings.dispatch_window)
        time.sleep(0.3)
        assert dispatched(database) == transport.waiting() == settings.dispatch_window

    taken = [transport.broker.mailbox(QUEUE).take().attempt_id.job_id for _ in range(settings.dispatch_window)]
    # Of priority 9 are those at 9, 19, 29, …; the first job has 5 and went before they came.
    assert taken == [rest[9], rest[19], rest[29], first]


def test_notifications_do_not_make_it_check_full_windows_all_the_time(
    settings: Settings, database: Database, factory: Factory, transport: Watched
) -> None:
    with dispatching(settings, database, transport):
        factory.submit_all(*(factory.new_job() for _ in range(20)))
        notify_dispatcher(database)
        until(lambda: transport.waiting() == settings.dispatch_window)
        before, began = transport.asked[QUEUE], time.monotonic()
        while time.monotonic() < began + 0.5:
            notify_dispatcher(database)
        checks = transport.asked[QUEUE] - before
        assert checks <= 50 * (time.monotonic() - began) + 2

        factory.submit(queue="other")  # has capacity, and does not wait for queues without
        notify_dispatcher(database)
        until(lambda: transport.waiting("other") == 1)


class Counting(Database):
    """Counts the transactions of connections that threads keep."""

    transactions = 0

    def pinned(self, *, transactional: bool = False) -> PinnedConnection:
        pinned = super().pinned(transactional=transactional)
        use = pinned.use

        @contextmanager
        def counted() -> Iterator[Connection]:
            self.transactions += 1
            with use() as connection:
                yield connection

        pinned.use = counted  # type: ignore[method-assign]
        return pinned


def test_notifications_without_jobs_do_not_keep_it_busy(
    settings: Settings, factory: Factory, transport: Watched
) -> None:
    """Anybody who may connect to the database may send them."""
    database = Counting(settings, role="test")
    try:
        with dispatching(settings, database, transport):
            factory.submit()
            until(lambda: dispatched(database) == 1, what="the listener's first round")
            before, began = database.transactions, time.monotonic()
            while time.monotonic() < began + 0.5:
                notify_dispatcher(database)
            rounds = (database.transactions - before) / 2  # each reads when the next job is due, too
            assert rounds <= 50 * (time.monotonic() - began) + 12

            factory.submit()
            notify_dispatcher(database)
            until(lambda: dispatched(database) == 2)
    finally:
        database.close()


def test_a_message_that_is_not_confirmed_is_sent_again_at_once(
    settings: Settings, database: Database, factory: Factory, transport: Watched
) -> None:
    with dispatching(settings, database, transport):
        factory.submit()
        notify_dispatcher(database)
        until(lambda: dispatched(database) == 1)
        transport.refusals = 1
        factory.submit()
        notify_dispatcher(database)
        until(lambda: dispatched(database) == 2)
    assert transport.asked[QUEUE] == 2


@pytest.mark.parametrize("limit", [{"concurrency_limit": 2}, {"rate_limit": 2, "rate_period": 3600.0}])
def test_limits_hold_for_jobs_that_come_one_by_one(
    settings: Settings, database: Database, factory: Factory, transport: Watched, limit: dict[str, object]
) -> None:
    factory.submit()
    with database.begin() as connection:
        connection.execute(update(queues).values(**limit))
    with dispatching(settings, database, transport):
        until(lambda: dispatched(database) == 1)
        for _ in range(3):
            factory.submit()
            notify_dispatcher(database)
            time.sleep(0.15)
        expected = 2 if "concurrency_limit" in limit else 1
        assert dispatched(database) == expected


def test_a_scheduled_job_is_on_time_though_the_statement_that_asks_for_it_failed(
    settings: Settings, database: Database, factory: Factory, transport: Watched
) -> None:
    """The table is locked between the dispatch and that statement, whose backend is then terminated."""
    with dispatching(settings, database, transport), ThreadPoolExecutor(1) as pool:
        factory.submit()
        notify_dispatcher(database)
        until(lambda: dispatched(database) == 1)
        with database.begin() as holder:
            pid = backend_of(holder)

            def request_lock() -> None:
                """Wait for the lock, which this transaction gets once that of the dispatch has ended."""
                transport.before_publish = lambda: None
                pool.submit(holder.execute, text("LOCK TABLE callboard.jobs"))
                with database.begin() as other:
                    until(lambda: other.execute(text("SELECT pg_blocking_pids(:pid)"), {"pid": pid}).scalar_one())

            factory.submit_all(factory.new_job(), factory.new_job(delay=1.0))
            transport.before_publish = request_lock
            notify_dispatcher(database)
            terminate_blocked_by(database, pid)
        until(lambda: dispatched(database) == 3)


class Dying(Watched):
    """Carries messages, and then its dispatcher gets no further."""

    def publish(self, dispatches: Sequence[Dispatch]) -> Sequence[Dispatch]:
        super().publish(dispatches)
        if dispatches:
            raise RuntimeError("the process dies here")
        return dispatches


def test_a_concurrency_limit_holds_over_a_crash_of_the_dispatcher_that_had_published(
    settings: Settings, database: Database, factory: Factory
) -> None:
    """A worker has the message already, and the next dispatcher has a job that goes before."""
    first = factory.submit(priority=0)
    with database.begin() as connection:
        connection.execute(update(queues).values(concurrency_limit=1))
    dying = Dying()
    with dispatching(settings, database, dying):
        until(dying.waiting)
    dying.take_all()

    factory.submit(priority=9)
    transport = Watched()
    # As RabbitMQ, which keeps what the other one has published.
    transport.starts_empty = False  # type: ignore[misc]
    with dispatching(settings, database, transport):
        factory.submit(queue="other")
        notify_dispatcher(database)
        until(lambda: transport.waiting("other"))
        assert transport.waiting() == 0
    assert factory.claim(first).id == first
