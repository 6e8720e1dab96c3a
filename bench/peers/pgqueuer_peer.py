"""PgQueuer: jobs in PostgreSQL, asynchronous tasks."""

from __future__ import annotations

import asyncio
import signal

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from bench.peers.command import DATABASE_URL, in_processes, run

_BATCH = 100
_AT_ONCE = 1000


async def install() -> None:
    connection = await asyncpg.connect(DATABASE_URL)
    queries = Queries(AsyncpgDriver(connection))
    await queries.install()
    await queries.optimize_autovacuum()  # guides/performance-tuning: `pgq autovac` after installation
    await connection.close()


async def submit(jobs: int) -> None:
    connection = await asyncpg.connect(DATABASE_URL)
    queries = Queries(AsyncpgDriver(connection))
    for start in range(0, jobs, _AT_ONCE):
        size = min(_AT_ONCE, jobs - start)
        await queries.enqueue(["noop"] * size, [None] * size, [0] * size)
    await connection.close()


def work() -> None:
    in_processes(_work)


def _work() -> None:
    uvloop.run(_run())


async def _run() -> None:
    # A connection of its own rather than a pool, as that guide says; asyncpg, its faster driver.
    connection = await asyncpg.connect(DATABASE_URL)
    queuer = PgQueuer(AsyncpgDriver(connection))

    @queuer.entrypoint("noop")
    async def noop(job: Job) -> None:
        pass

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, queuer.shutdown.set)
    await queuer.run(batch_size=_BATCH)


if __name__ == "__main__":
    run(install=install, submit=submit, work=work)
