"""Chancy: jobs in PostgreSQL, asynchronous tasks."""

from __future__ import annotations

import asyncio
import logging

from chancy import Chancy, Queue, Worker, job

from bench.peers.command import DATABASE_URL, in_processes, run

_LOG = logging.getLogger("bench")  # warnings; its own logs every job to the console
_CONCURRENCY = 100  # its default for asynchronous tasks


@job(queue="bench")
async def noop() -> None:
    pass


async def install() -> None:
    async with Chancy(DATABASE_URL, log=_LOG) as chancy:
        await chancy.migrate()
        await chancy.declare(
            Queue("bench", concurrency=_CONCURRENCY, executor=Chancy.Executor.Async, eager_polling=True)
        )


async def submit(jobs: int) -> None:
    async with Chancy(DATABASE_URL, log=_LOG) as chancy:
        async for _ in chancy.push_many([noop.job] * jobs):
            pass


def work() -> None:
    in_processes(_work)


def _work() -> None:
    asyncio.run(_run())


async def _run() -> None:
    async with Chancy(DATABASE_URL, log=_LOG) as chancy, Worker(chancy) as worker:
        await worker.wait_for_shutdown()


if __name__ == "__main__":
    run(install=install, submit=submit, work=work)
