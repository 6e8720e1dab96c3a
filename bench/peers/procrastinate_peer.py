"""Procrastinate: jobs in PostgreSQL, asynchronous tasks."""

from __future__ import annotations

import asyncio

from procrastinate import App, PsycopgConnector

from bench.peers.command import DATABASE_URL, in_processes, run

_CONCURRENCY = 30  # as its guide "concurrency" shows
_AT_ONCE = 1000

app = App(connector=PsycopgConnector(conninfo=DATABASE_URL, min_size=4, max_size=16))


@app.task(name="noop")
async def noop() -> None:
    pass


async def install() -> None:
    async with app.open_async():
        await app.schema_manager.apply_schema_async()


async def submit(jobs: int) -> None:
    async with app.open_async():
        for start in range(0, jobs, _AT_ONCE):
            await noop.batch_defer_async(*[{}] * min(_AT_ONCE, jobs - start))


def work() -> None:
    in_processes(_work)


def _work() -> None:
    asyncio.run(_run())


async def _run() -> None:
    async with app.open_async():
        await app.run_worker_async(concurrency=_CONCURRENCY)


if __name__ == "__main__":
    run(install=install, submit=submit, work=work)
