"""Commands that run servers. Each imports its server when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import structlog
import typer

from callboard.db.logs import configure_logs
from callboard.db.settings import Settings, load_settings, unknown_variables
from callboard.processes.signals import StopSignal

if TYPE_CHECKING:
    from callboard.processes.metrics import MetricsAddress

_log = structlog.get_logger(__name__)

Host = Annotated[str, typer.Option(help="Address to serve on.")]
Port = Annotated[int, typer.Option(min=1, max=65_535, help="Port to serve on.")]
Threads = Annotated[
    int | None, typer.Option(min=1, max=1000, help="Jobs at a time in one process. Default: CALLBOARD_WORKER_THREADS.")
]

MaxJobs = Annotated[
    int | None,
    typer.Option(min=1, help="Replace a process after about so many jobs. Default: CALLBOARD_WORKER_MAX_JOBS."),
]
MaxMemory = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Replace a process that has more MiB of memory, when its jobs are done. "
        "Default: CALLBOARD_WORKER_MAX_MEMORY.",
    ),
]
MetricsPort = Annotated[
    int | None,
    typer.Option(min=1, max=65_535, help="Serve /metrics, /livez and /readyz on this port. Default: do not."),
]
MetricsHost = Annotated[str, typer.Option(help="Address to serve metrics on. Whoever reaches it may read them.")]


def register(app: typer.Typer) -> None:
    """Add the server commands to ``app``."""
    for command in (up, check, migrate, api, dispatcher, worker, remove_orphaned_files):
        app.command(rich_help_panel="Servers")(command)


def up(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where PostgreSQL and files are kept. Default: CALLBOARD_DATA_DIR, .callboard.")
    ] = None,
    threads: Threads = None,
    max_jobs_per_process: MaxJobs = None,
    max_memory: MaxMemory = None,
) -> None:
    """Run everything on this machine: api, dispatcher, worker and, unless a database URL is set, PostgreSQL."""
    from callboard.processes.job_types import JobTypesTrial

    settings = _settings(data_dir=data_dir)
    work = _work(settings, threads, max_jobs_per_process, max_memory)
    environment = {"CALLBOARD_DIAGNOSTICS": "true", "CALLBOARD_DATA_DIR": str(settings.data_dir.resolve())}
    # It is under way while this process imports the rest. Should a module have a name of ours, the children say so.
    with JobTypesTrial(environment, built_in=False) as trial:
        from callboard.processes.up import run_up

        code = run_up(settings, trial, host=host, port=port, work=work)
    raise typer.Exit(code)


def check() -> None:
    """Try settings, job modules, database, broker and storage. Exits with 0 if all of them will do, else with 2."""
    from callboard.processes.check import check as run_check

    problems = 0
    for finding in run_check(_settings(), StopSignal()):
        problems += not finding.ok
        typer.echo(f"{'ok     ' if finding.ok else 'PROBLEM'} {finding.name:<9} {finding.says}")
    raise typer.Exit(2 if problems else 0)


def migrate() -> None:
    """Create or upgrade the database schema. Safe to run from many places at once, and again."""
    from callboard.db.schema.migrate import migrate as run_migrate

    upgraded = run_migrate(_settings())
    typer.echo("The schema is up to date." if upgraded else "The schema is of a later version. Nothing was changed.")


def api(host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Serve the HTTP API."""
    from callboard.processes.api import run_api

    raise typer.Exit(run_api(_settings(), host=host, port=port))


def dispatcher(metrics_port: MetricsPort = None, metrics_host: MetricsHost = "127.0.0.1") -> None:
    """Publish due jobs to RabbitMQ and do the upkeep. Any number may run."""
    from callboard.processes.dispatcher import run_dispatcher

    raise typer.Exit(run_dispatcher(_settings(), metrics=_metrics(metrics_host, metrics_port)))


def worker(
    queues: Annotated[
        str | None, typer.Option(help="Queues to work on, separated by commas. Default: those of all job types.")
    ] = None,
    new_queues: Annotated[
        bool, typer.Option("--new-queues", help="Make those of --queues that there are not yet.")
    ] = False,
    threads: Threads = None,
    processes: Annotated[int, typer.Option(min=1, max=256, help="Worker processes.")] = 1,
    name: Annotated[str | None, typer.Option(help="What operators see. Default: host and pid.")] = None,
    burst: Annotated[bool, typer.Option("--burst", help="Exit when nothing is due in the queues.")] = False,
    max_jobs_per_process: MaxJobs = None,
    max_memory: MaxMemory = None,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
) -> None:
    """Run jobs from RabbitMQ. A process that dies is replaced."""
    from callboard.processes.pool import run_workers

    settings = _settings()
    options = {
        **_work(settings, threads, max_jobs_per_process, max_memory),
        "queues": [queue.strip() for queue in (queues or "").split(",") if queue.strip()],
        "burst": burst,
    }
    names = [name] if processes == 1 else [f"{name}-{number}" if name else None for number in range(1, processes + 1)]
    workers = [{**options, "name": each} for each in names]
    metrics = _metrics(metrics_host, metrics_port)
    raise typer.Exit(run_workers(settings, workers, StopSignal(), new_queues=new_queues, metrics=metrics))


def remove_orphaned_files(
    older_than: Annotated[float, typer.Option(min=1, help="Hours since they were written.")] = 24,
) -> None:
    """Delete stored files that no upload completed. The storage must belong to this database alone."""
    from callboard.db.files.rows import remove_orphans
    from callboard.db.files.storage import open_storage
    from callboard.db.sql.engine import Database

    settings = _settings()
    database = Database(settings, role="files", pool_size=2)
    try:
        removed = remove_orphans(database, open_storage(settings), older_than=older_than * 3600)
    finally:
        database.close()
    typer.echo(f"{removed} orphaned files removed.")


def _work(settings: Settings, threads: int | None, max_jobs: int | None, max_mebibytes: int | None) -> dict[str, Any]:
    """Return the options of a worker process: those of its command, else those of the settings."""
    return {
        "threads": threads or settings.worker_threads,
        "max_jobs": max_jobs or settings.worker_max_jobs,
        "max_memory": settings.worker_max_memory if max_mebibytes is None else max_mebibytes * 2**20,
    }


def _metrics(host: str, port: int | None) -> MetricsAddress | None:
    from callboard.processes.metrics import MetricsAddress

    return None if port is None else MetricsAddress(host, port)


def _settings(**overrides: object) -> Settings:
    settings = load_settings(**overrides)
    configure_logs(settings)
    for name in unknown_variables():
        _log.warning("setting_unknown", variable=name)
    return settings
