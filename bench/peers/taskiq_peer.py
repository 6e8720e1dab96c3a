"""taskiq on RabbitMQ (taskiq-aio-pika), with results in PostgreSQL (taskiq-postgres, asyncpg)."""

from __future__ import annotations

from taskiq.cli.common_args import LogLevel
from taskiq.cli.worker.args import WorkerArgs
from taskiq.cli.worker.run import run_worker
from taskiq_aio_pika import AioPikaBroker, Queue, QueueType
from taskiq_pg.asyncpg import AsyncpgResultBackend

from bench.peers.command import AMQP_URL, DATABASE_URL, PROCESSES, run

# A classic queue, as all others have; its default is a quorum queue.
broker = AioPikaBroker(AMQP_URL, qos=200, task_queues=[Queue(type=QueueType.CLASSIC)]).with_result_backend(
    AsyncpgResultBackend(DATABASE_URL)
)


@broker.task(task_name="noop")
async def noop() -> None:
    pass


async def install() -> None:
    await broker.startup()
    await broker.shutdown()


async def submit(jobs: int) -> None:
    await broker.startup()
    for _ in range(jobs):
        await noop.kiq()
    await broker.shutdown()


def work() -> None:
    # Its defaults otherwise: uvloop, 100 tasks at a time, acknowledged when the result is saved.
    run_worker(
        WorkerArgs(
            "bench.peers.taskiq_peer:broker",
            [],
            workers=PROCESSES,
            max_prefetch=100,
            log_level=LogLevel.WARNING,
        )
    )


if __name__ == "__main__":
    run(install=install, submit=submit, work=work)
