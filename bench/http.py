"""Submissions and polls over HTTP, beside an endpoint that does nothing."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from uuid import UUID, uuid4

import orjson
from sqlalchemy import select

from bench.callboard_drain import submit_noops
from bench.http_load import Answered, Load
from bench.processes import BenchFailed, Child, stopping
from bench.rounds import in_turns
from bench.services import Services
from bench.system import QUEUE, running
from db.engine import Database
from db.models import jobs
from db.outcome import Outcome
from db.queues import ensure_queues
from db.settings import Settings
from db.transitions import Claim, Ending, claim, record
from db.workers import WorkerBoot, register_worker

EMPTY_POST = "empty POST"
EMPTY_GET = "empty GET"
SUBMIT = "submit one"
BULK = "submit in bulk"
POLL_LIVE = "poll a live job"
POLL_FINISHED = "poll a finished job"

BULK_SIZE = 1000
CONNECTIONS = 64
_BULK_CONNECTIONS = 4
_POLLED = 1000
_NEW_JOB = {"type": "diagnostics.noop", "payload": {}}
_START_TIMEOUT = 60.0


def measure_http(services: Services, *, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Return requests (for bulk: jobs) per second, by round."""
    settings = services.new_database()
    database = Database(settings, role="bench", pool_size=2)
    try:
        with database.begin() as connection:
            ensure_queues(connection, [QUEUE])
        finished, live = _finished_jobs(database), _live_jobs(database)
        port, empty_port = _free_port(), _free_port()
        with (
            running(services, settings, [("api", {"host": "127.0.0.1", "port": port})]),
            stopping([_empty_app(services, empty_port), _load_generator(services)]) as (_, generator),
        ):
            _wait_for(port, empty_port)

            def load(
                to: int, *requests: str, connections: int = CONNECTIONS, jobs_each: int = 1
            ) -> Callable[[], float]:
                return lambda: _load(generator, Load(to, connections, seconds, list(requests))).per_second * jobs_each

            contestants = {
                EMPTY_POST: load(empty_port, _post("/", _NEW_JOB)),
                SUBMIT: load(port, _post("/v1/jobs", _NEW_JOB)),
                EMPTY_GET: load(empty_port, _get("/")),
                POLL_LIVE: load(port, *(_get(f"/v1/jobs/{job_id}") for job_id in live)),
                POLL_FINISHED: load(port, *(_get(f"/v1/jobs/{job_id}") for job_id in finished)),
                BULK: load(
                    port,
                    _post("/v1/jobs/batch", {"jobs": [_NEW_JOB] * BULK_SIZE}),
                    connections=_BULK_CONNECTIONS,
                    jobs_each=BULK_SIZE,
                ),
            }
            for contestant in contestants.values():
                contestant()  # statements are prepared, caches filled
            return in_turns(contestants, rounds)
    finally:
        database.close()


def _load(generator: Child, load: Load) -> Answered:
    generator.tell(orjson.dumps(asdict(load)).decode())
    answered = Answered(**json.loads(generator.answer()))
    if answered.refused:
        raise BenchFailed(f"{answered.refused} requests were refused: {load.requests[0][:200]}")
    return answered


def _post(path: str, body: object) -> str:
    content = orjson.dumps(body).decode()
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n{content}"
    )


def _get(path: str) -> str:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def _empty_app(services: Services, port: int) -> Child:
    return Child(
        "bench.empty_app", str(port), str(os.getpid()), environment={}, log=services.directory / "empty_app.log"
    )


def _load_generator(services: Services) -> Child:
    return Child("bench.http_load", environment={}, log=services.directory / "http_load.log")


def _live_jobs(database: Database) -> list[UUID]:
    owner = str(uuid4())
    submit_noops(database, _POLLED, owner=owner)
    with database.begin() as connection:
        return list(connection.execute(select(jobs.c.id).where(jobs.c.owner == owner)).scalars())


def _finished_jobs(database: Database) -> list[UUID]:
    worker_id = uuid4()
    job_ids = _live_jobs(database)
    with database.begin() as connection:
        register_worker(connection, WorkerBoot(worker_id, "bench", "localhost", os.getpid(), "0", [QUEUE], 1))
        claim(connection, [Claim(job_id, 1) for job_id in job_ids], worker_id=worker_id, worker="bench")
        record(connection, [Ending(job_id, 1, Outcome.succeed(b"null")) for job_id in job_ids])
    return job_ids


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(*ports: int) -> None:
    give_up_at = time.monotonic() + _START_TIMEOUT
    for port in ports:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                if time.monotonic() > give_up_at:
                    raise BenchFailed(f"nothing listens on port {port}") from None
                time.sleep(0.05)


@contextmanager
def serving_api(services: Services, settings: Settings, roles: Sequence[tuple[str, dict[str, int]]]) -> Iterator[int]:
    """Yield the port of an api that runs beside other roles."""
    port = _free_port()
    with running(services, settings, [*roles, ("api", {"host": "127.0.0.1", "port": port})]):
        _wait_for(port)
        yield port
