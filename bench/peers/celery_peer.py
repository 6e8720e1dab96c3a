"""Celery on RabbitMQ, with results in PostgreSQL (SQLAlchemy). ``BENCH_OPTION``: acknowledge ``early`` or ``late``."""

from __future__ import annotations

from celery import Celery

from bench.peers.command import AMQP_URL, DATABASE_URL, OPTION, PROCESSES, run

app = Celery("bench", broker=AMQP_URL, backend=DATABASE_URL.replace("postgresql://", "db+postgresql+psycopg://"))
app.conf.update(
    # userguide/optimizing: many short tasks want a large prefetch count, "say 64 or 128".
    worker_prefetch_multiplier=128,
    task_acks_late=OPTION == "late",
    task_reject_on_worker_lost=OPTION == "late",
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    database_create_tables_at_setup=True,
)


@app.task(name="noop")
def noop() -> None:
    pass


def install() -> None:
    app.backend.ResultSession().close()


def submit(jobs: int) -> None:
    with app.producer_pool.acquire() as producer:
        for _ in range(jobs):
            noop.apply_async(producer=producer)


def work() -> None:
    # Its default pool: the threads pool connects to PostgreSQL anew for each result.
    # Gossip, mingle and heartbeat are talk among workers; -Ofair is the default.
    options = ["--pool=prefork", f"--concurrency={PROCESSES}", "--loglevel=ERROR"]
    app.worker_main(["worker", *options, "--without-gossip", "--without-mingle", "--without-heartbeat"])


if __name__ == "__main__":
    run(install=install, submit=submit, work=work)
