"""Submissions and polls over HTTP, beside an endpoint that does nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import select

from bench.api import empty_app, free_port, get, load_generator, post, send, serving_api, wait_for
from bench.callboard_drain import noops, submit_jobs
from bench.drains import Measured, Meter
from bench.effort import Effort
from bench.http_load import Load
from bench.parts.drain import add_measured
from bench.processes import Child, stopping
from bench.results import Part
from bench.services import Services
from bench.system import QUEUE
from callboard.db.dispatching.queues import ensure_queues
from callboard.db.fleet.workers import WorkerBoot, register_worker
from callboard.db.models import jobs
from callboard.db.rules.outcome import Outcome
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.db.transitions import AttemptId, Ending, claim, record

EMPTY_POST = "empty POST"
EMPTY_GET = "empty GET"
SUBMIT = "submit one job"
BULK = "submit 1,000 jobs a request"
POLL_LIVE = "poll a live job"
POLL_FINISHED = "poll a finished job"

BULK_SIZE = 1000
CONNECTIONS = 64
_BULK_CONNECTIONS = 4
_POLLED = 1000
_NEW_JOB = {"type": "diagnostics.noop", "payload": {}}


def measure_http(services: Services, effort: Effort) -> Part:
    settings = services.new_database()
    empty_port = free_port()
    with (
        serving_api(services, settings) as (port, system),
        stopping([empty_app(services, empty_port), load_generator(services)]) as (empty, generator),
    ):
        wait_for(empty_port)
        at_nothing = Target(generator, empty_port, {"api": [empty.pid]})
        contestants = {
            EMPTY_POST: at_nothing.load(post("/", _NEW_JOB), seconds=effort.http_seconds),
            EMPTY_GET: at_nothing.load(get("/"), seconds=effort.http_seconds),
        }
        at_api = Target(generator, port, {"api": [system.children["api"][0].pid]} | services.parts)
        contestants |= api_loads(at_api, settings, seconds=effort.http_seconds)
        part = Part(effort.rounds)
        baselines = {SUBMIT: EMPTY_POST, POLL_LIVE: EMPTY_GET, POLL_FINISHED: EMPTY_GET}
        add_measured(part, contestants, baselines, dict.fromkeys(contestants, "requests/s") | {BULK: "jobs/s"})
    return part


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked by whom, and the processes that answer."""

    generator: Child
    port: int
    parts: dict[str, list[int]]

    def load(
        self, *requests: str, seconds: float, connections: int = CONNECTIONS, jobs_each: int = 1
    ) -> Callable[[], Measured]:
        """Return what sends these requests in turn and measures how they are answered, for each of ``jobs_each``."""

        def run() -> Measured:
            meter = Meter(self.parts)
            answered = send(self.generator, Load(self.port, connections, seconds, list(requests)))
            return Measured(answered.per_second * jobs_each, meter.cpu_ms_per_job(answered.count * jobs_each))

        return run


def api_loads(target: Target, settings: Settings, *, seconds: float) -> dict[str, Callable[[], Measured]]:
    """Return what to ask an api for, by name. Caches are filled."""
    database = Database(settings, role="bench", pool_size=2)
    try:
        with database.begin() as connection:
            ensure_queues(connection, [QUEUE])
        finished, live = _finished_jobs(database), _live_jobs(database)
    finally:
        database.close()
    bulk = post("/v1/jobs/batch", {"jobs": [_NEW_JOB] * BULK_SIZE})
    loads = {
        SUBMIT: target.load(post("/v1/jobs", _NEW_JOB), seconds=seconds),
        POLL_LIVE: target.load(*(get(f"/v1/jobs/{job_id}") for job_id in live), seconds=seconds),
        POLL_FINISHED: target.load(*(get(f"/v1/jobs/{job_id}") for job_id in finished), seconds=seconds),
        BULK: target.load(bulk, seconds=seconds, connections=_BULK_CONNECTIONS, jobs_each=BULK_SIZE),
    }
    for each in loads.values():
        each()  # statements are prepared, caches filled
    return loads


def _live_jobs(database: Database) -> list[UUID]:
    owner = str(uuid4())
    submit_jobs(database, noops(_POLLED, owner))
    with database.begin() as connection:
        return list(connection.execute(select(jobs.c.id).where(jobs.c.owner == owner)).scalars())


def _finished_jobs(database: Database) -> list[UUID]:
    worker_id = uuid4()
    job_ids = _live_jobs(database)
    with database.begin() as connection:
        register_worker(connection, WorkerBoot(worker_id, "bench", "localhost", os.getpid(), "0", [QUEUE], 1))
        claim(connection, [AttemptId(job_id, 1) for job_id in job_ids], worker_id=worker_id, worker="bench")
        record(connection, [Ending(AttemptId(job_id, 1), Outcome.succeed(b"null")) for job_id in job_ids])
    return job_ids
