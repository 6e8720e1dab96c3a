"""``python -m bench.history [--jobs N | --url URL]``: what questions to a long history cost, as a Markdown table."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from pathlib import Path
from statistics import quantiles
from typing import Any, Final
from uuid import UUID

import httpx
import psycopg
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy import Connection, func, select, text
from sqlalchemy.engine import make_url

from bench.processes import Child, stopping
from bench.system import PULSE
from callboard.db.history.failures import group_failures
from callboard.db.history.retention import Rule, drop_month, set_rule
from callboard.db.history.rollups import follow
from callboard.db.history.rollups.counting import count_pending
from callboard.db.models import history_rollup_pending, job_history
from callboard.db.reads.job_filter import JobFilter
from callboard.db.reads.jobs import get_jobs
from callboard.db.reads.lists import list_jobs
from callboard.db.rules.ids import new_id
from callboard.db.rules.states import Status
from callboard.db.schema.migrate import migrate
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.db.transitions import NewJob, SubmissionRequest, cancel, submit
from callboard.embedded.postgres import EmbeddedPostgres
from callboard.history_generator import generate_history

DAYS: Final = 90
COUNTED: Final = timedelta(days=31)
"""As far back as the rollups are counted: nothing here asks for more."""
ROUNDS: Final = 100
POLLS: Final = 500
PAGE: Final = 50
FAR: Final = 1000

FILTERS: Final = {
    "all": JobFilter(),
    "one type, frequent": JobFilter(type="email.send"),
    "one type, rare": JobFilter(type="report.monthly"),
    "one queue, frequent": JobFilter(queue="mail"),
    "one queue, rare": JobFilter(queue="reports"),
    "one owner": JobFilter(owner="shop"),
    "failed": JobFilter(statuses=frozenset({Status.FAILED})),
    "failed, one type": JobFilter(statuses=frozenset({Status.FAILED}), type="webhook.deliver"),
    "one owner and type": JobFilter(owner="shop", type="payment.capture"),
}

#: The views of docs/analytics.md that read jobs or rollups of a time, with the column that bounds them.
VIEWS: Final = {
    "throughput": "hour", "success_rate": "hour", "latency": "hour", "concurrency": "hour",
    "worker_utilisation": "hour", "failures": "day", "retries": "day", "slowest_jobs": "day", "owner_usage": "day",
    "sla_breaches": "day",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one question, in milliseconds."""

    p50: float
    p95: float

    @classmethod
    def of(cls, ask: Callable[[], object], rounds: int) -> Cost:
        """Ask so many times, after once for what is prepared and cached then."""
        ask()
        times = []
        for _ in range(rounds):
            began = time.perf_counter()
            ask()
            times.append((time.perf_counter() - began) * 1000)
        cuts = quantiles(times, n=20, method="inclusive") if rounds > 1 else times * 19
        return cls(cuts[9], cuts[18])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.history", description="Measure questions to a long history.")
    parser.add_argument("--jobs", type=int, default=10_000_000, help="of the history that is made, over 90 days")
    parser.add_argument("--url", help="instead, a database that has one; its oldest month is dropped in the end")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="callboard-bench-") as name:
        directory = Path(name)
        directory.chmod(0o711)  # as root: PostgreSQL runs as another user, below it
        if arguments.url:
            measure(Settings(database_url=SecretStr(arguments.url)), directory)
            return
        with EmbeddedPostgres(directory / "postgres") as postgres:
            settings = Settings(database_url=SecretStr(postgres.start()))
            prepare(settings, arguments.jobs)
            measure(settings, directory)


def prepare(settings: Settings, jobs: int) -> int:
    """Make a history of about so many jobs and count its last month; return how many there are."""
    migrate(settings)
    with opened(settings) as database:
        began = time.monotonic()
        stored = generate_history(database, job_count=jobs, days=DAYS, seed=1)
        line("jobs generated a second", f"{stored / (time.monotonic() - began):,.0f}")
        with database.begin() as connection:
            # As a dispatcher does at first. One that runs beside what is measured finds nothing left to count then.
            follow(connection, late=0.0)
            connection.execute(
                history_rollup_pending.delete().where(history_rollup_pending.c.starts_at < func.now() - COUNTED)
            )
        began = time.monotonic()
        hours = count_pending(database)
        line("an hour counted into the rollups", (time.monotonic() - began) / hours * 1000)
    # On a connection without the product's bound on every statement: this one takes minutes.
    with psycopg.connect(settings.require_database_url(), autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
        # What was made is on the disk before the clock starts, not in the minutes after.
        connection.execute("CHECKPOINT")
    return stored


def measure(settings: Settings, directory: Path) -> None:
    with opened(settings) as database:
        sizes(database)
        summaries(settings, directory)
        lists(database)
        polls(settings, database)
        failures(database)
        views(settings)
        retention(database)


def sizes(database: Database) -> None:
    def size(connection: Connection, pattern: str) -> str:
        found = connection.execute(
            text(
                "SELECT pg_size_pretty(sum(pg_total_relation_size(oid))) FROM pg_class WHERE relkind = 'r' AND "
                "relnamespace = 'callboard'::regnamespace AND relname ~ :pattern"
            ),
            {"pattern": pattern},
        )
        return str(found.scalar_one())

    with database.begin() as connection:
        jobs = connection.execute(select(func.count()).select_from(job_history)).scalar_one()
        line("jobs in the history", f"{jobs:,}")
        line("their rows and indexes", size(connection, "^job_history_"))
        line("their attempts", size(connection, "^job_attempts_"))
        line("rollups", size(connection, "^history_rollup$"))


def summaries(settings: Settings, directory: Path) -> None:
    """Over HTTP, from an api process of its own."""
    end = datetime.now(UTC)
    with serving_api(settings, directory) as client:
        for days, params in (
            (30, {"bucket": "hour"}),
            (30, {"bucket": "hour", "owner": "shop"}),
            (30, {"bucket": "day", "group_by": "type"}),
            (30, {"group_by": "owner"}),
            (7, {"bucket": "hour", "group_by": "type"}),
        ):
            period = {"from": (end - timedelta(days=days)).isoformat(), "to": end.isoformat()}
            asked = ", ".join(f"{name}={value}" for name, value in params.items())
            line(f"summary of {days} days, {asked}", Cost.of(partial(summary, client, period | params), ROUNDS))


def summary(client: httpx.Client, params: dict[str, Any]) -> None:
    client.get("/v1/history/summary", params=params).raise_for_status()


def lists(database: Database) -> None:
    for (name, wanted), page in product(FILTERS.items(), (1, FAR)):
        with database.begin() as connection:
            before, there = position(connection, wanted, (page - 1) * PAGE)
            if there:
                ask = partial(list_jobs, connection, wanted, limit=PAGE, before=before)
                line(f"list, {name}, page {page:,}", Cost.of(ask, ROUNDS))


def position(connection: Connection, wanted: JobFilter, rows: int) -> tuple[UUID | None, bool]:
    """Return the id after so many rows, going on from page to page, and whether there are so many."""
    before = None
    while rows > 0:
        found = list_jobs(connection, wanted, limit=min(rows, 5000), before=before)
        if found.following is None:
            return None, False
        before, rows = found.following, rows - len(found.rows)
    return before, True


def polls(settings: Settings, database: Database) -> None:
    """Each poll asks for another job, of the last days: what was read before helps no more than it does for real."""
    with database.begin() as connection:
        latest = select(job_history.c.id).order_by(job_history.c.id.desc()).limit(POLLS * 20)
        ids = iter([[job_id] for job_id in list(connection.execute(latest).scalars())[::10]])
        full = Cost.of(lambda: get_jobs(connection, next(ids)), POLLS)
    with empty(settings) as other, opened(other) as nothing, nothing.begin() as connection:
        bare = Cost.of(lambda: get_jobs(connection, [new_id()]), POLLS)
    line("poll by id", full)
    line("poll by id of an empty table", bare)


def failures(database: Database) -> None:
    until = datetime.now(UTC)
    for days in (1, 7, 30):
        with database.begin() as connection:
            ask = partial(group_failures, connection, until - timedelta(days=days), until, limit=100)
            line(f"failures of {days} days", Cost.of(ask, 10))


def views(settings: Settings) -> None:
    """Every column of every row: counting whole rows keeps PostgreSQL from leaving any out."""
    question = sql.SQL("SELECT count(rows) FROM (SELECT * FROM {} WHERE {} >= now() - {}::interval OFFSET 0) AS rows")
    with psycopg.connect(settings.require_database_url(), autocommit=True) as connection:
        for (view, column), days in product(VIEWS.items(), (1, 7)):
            interval = sql.Literal(f"{days} days")
            ready = question.format(sql.Identifier("analytics", view), sql.Identifier(column), interval)
            line(f"analytics.{view}, {days} days", Cost.of(partial(connection.execute, ready), 3))


def retention(database: Database) -> None:
    """Drop the oldest month while jobs come and go."""
    with database.begin() as connection:
        set_rule(connection, Rule("*", "*", 60))
    stop, times = threading.Event(), list[float]()

    def work() -> None:
        while not stop.is_set():
            began = time.perf_counter()
            with database.begin() as connection:
                job = NewJob(
                    id=new_id(),
                    type="a.b",
                    queue="default",
                    owner="bench",
                    payload=b"{}",
                    priority=5,
                    max_retries=0,
                    time_limit=60.0,
                )
                submit(connection, [SubmissionRequest([job])])
                cancel(connection, job.id)
            times.append((time.perf_counter() - began) * 1000)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        time.sleep(2)
        began = time.perf_counter()
        with database.begin() as connection:
            drop_month(connection)
        took = (time.perf_counter() - began) * 1000
        time.sleep(1)
    finally:
        stop.set()
        worker.join()
    line("retention drops a month", took)
    line("the longest that a job took to come and go meanwhile", max(times))


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    database = Database(settings, role="bench", pool_size=2)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def empty(settings: Settings) -> Iterator[Settings]:
    """Yield settings for an empty database on the same server, and drop it afterwards."""
    url = settings.require_database_url()
    name = f"bench_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        try:
            other = make_url(url).set(database=name).render_as_string(hide_password=False)
            there = Settings(database_url=SecretStr(other))
            migrate(there)
            yield there
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def serving_api(settings: Settings, directory: Path) -> Iterator[httpx.Client]:
    """Yield a client of an api process on this database."""
    port = 20_000 + secrets.randbelow(10_000)
    environment = {
        "CALLBOARD_DATABASE_URL": settings.require_database_url(),
        "CALLBOARD_JOB_MODULES": "bench.jobs",
        "CALLBOARD_LOG_LEVEL": "warning",
        "CALLBOARD_FILES_URL": directory.as_uri(),
    }
    options = f'{{"host": "127.0.0.1", "port": {port}}}'
    log = directory / "api.log"
    child = Child(
        "callboard.processes.child", "api", str(os.getpid()), PULSE, options, environment=environment, log=log
    )
    with stopping([child]), httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        while True:
            child.check()
            try:
                client.get("/healthz")
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield client


def line(what: str, found: Cost | float | str) -> None:
    """Write a row of the table; numbers are milliseconds."""
    match found:
        case Cost():
            shown = f"{found.p50:,.1f} | {found.p95:,.1f}"
        case str():
            shown = f"{found} |"
        case _:
            shown = f"{found:,.1f} |"
    sys.stdout.write(f"| {what} | {shown} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
