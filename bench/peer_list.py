"""The peers: how each is set up, where it records what is done, and what it leaves undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, LiteralString


@dataclass(frozen=True, slots=True)
class Peer:
    """A task system that Callboard is compared with."""

    name: str
    packages: tuple[str, ...]
    module: str
    processes: int
    """Worker processes."""
    done: LiteralString
    """FROM and WHERE of the rows of jobs that are done."""
    setup: str
    """How it is set up, for the report."""
    lacks: str
    """What Callboard does for a job within the measured time, and it does not."""
    option: str = ""


_CELERY_SETUP = (
    "prefork pool, two processes (as many as cores), prefetch multiplier 128, no gossip, mingle and heartbeat; "
    "persistent messages, classic queue; SQLAlchemy result backend with psycopg 3. Its threads pool opens a "
    "database connection for each result"
)

PEERS: Final = (
    Peer(
        "Celery, early ack",
        ("celery", "kombu", "sqlalchemy"),
        "celery_peer",
        2,
        "FROM celery_taskmeta WHERE status = 'SUCCESS'",
        f"{_CELERY_SETUP}. Messages are acknowledged before the task runs (its default)",
        "a job whose worker dies is lost, without a trace; nothing is recorded before the end; the result row has "
        "neither name nor arguments and expires after a day; priorities wait behind what is prefetched",
        option="early",
    ),
    Peer(
        "Celery, late ack",
        ("celery", "kombu", "sqlalchemy"),
        "celery_peer",
        2,
        "FROM celery_taskmeta WHERE status = 'SUCCESS'",
        f"{_CELERY_SETUP}. `acks_late` and `reject_on_worker_lost`, for delivery at least once",
        "as above, but a job whose worker dies is delivered again; publishing is not confirmed",
        option="late",
    ),
    Peer(
        "taskiq",
        ("taskiq", "taskiq-aio-pika", "taskiq-postgres"),
        "taskiq_peer",
        2,
        "FROM taskiq_results WHERE result IS NOT NULL",
        "taskiq-aio-pika on RabbitMQ, results in PostgreSQL by taskiq-postgres (asyncpg); two processes, uvloop, 100 "
        "asynchronous tasks at a time, prefetch 200; persistent messages, classic queue; acknowledged when the result "
        "is saved",
        "the result row is a pickle without name, arguments or times; nothing is recorded before the end",
    ),
    Peer(
        "Procrastinate",
        ("procrastinate",),
        "procrastinate_peer",
        2,
        "FROM procrastinate_jobs WHERE status = 'succeeded'",
        "jobs in PostgreSQL (psycopg 3), batch defer; two processes, 30 asynchronous tasks at a time in each; finished "
        "jobs are kept",
        "no broker; results are not stored; finished jobs stay in the table that workers fetch from",
    ),
    Peer(
        "PgQueuer",
        ("pgqueuer", "asyncpg"),
        "pgqueuer_peer",
        2,
        "FROM pgqueuer_log WHERE status = 'successful'",
        "jobs in PostgreSQL (asyncpg, uvloop), batch enqueue, its autovacuum settings; two processes, batches of 100; "
        "its default durability",
        "no broker; a finished job leaves a log line (id, time, status) without payload or result; ends are written in "
        "batches up to 0.1 s later, and what a crash finds unwritten runs again; a handler runs in the event loop that "
        "fetches, so one that blocks holds up all",
    ),
    Peer(
        "Chancy",
        ("chancy",),
        "chancy_peer",
        2,
        "FROM chancy_jobs WHERE state = 'succeeded'",
        "jobs in PostgreSQL (psycopg 3), push_many; two processes, 100 asynchronous tasks at a time in each, eager "
        "polling",
        "no broker; ends are written in batches once a second, and what a crash finds unwritten runs again (its rate "
        "here is coarse for that); a handler runs in the event loop that fetches; finished jobs are pruned in time",
    ),
)  # fmt: skip
