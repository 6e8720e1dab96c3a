"""How rates change with processes, threads, queues and payloads."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from itertools import cycle, islice

from bench.callboard_drain import callboard_on_rabbitmq, new_job
from bench.drains import Contestant, Shape
from bench.dramatiq_drain import raw_dramatiq
from bench.effort import Effort
from bench.many_queues import JOB_TYPES, QUEUES_VARIABLE
from bench.parts.drain import ON_RABBITMQ, RAW
from bench.results import Part, Series
from bench.rounds import in_turns
from bench.services import Services
from callboard.db.transitions import NewJob

_THREADS_OF_A_PROCESS = 32
#: Of one backlog, so that the greatest payloads are few.
_MOST_BYTES = 100_000_000


def measure_scale(services: Services, effort: Effort) -> Part:
    part = Part(effort.scale_rounds)
    processes = [(each, Shape(each, _THREADS_OF_A_PROCESS)) for each in effort.processes]
    threads = [(each, Shape(1, each)) for each in effort.threads]
    part.series["processes"] = Series(
        "Worker processes", "processes of 32 threads", "jobs/s", *_shapes(services, effort, processes)
    )
    part.series["threads"] = Series("Threads", "threads of one process", "jobs/s", *_shapes(services, effort, threads))
    part.series["queues"] = Series("Queues", "queues that jobs are spread over", "jobs/s", *_queues(services, effort))
    part.series["payload"] = Series("Payload", "bytes", "jobs/s", *_payloads(services, effort))
    return part


Lines = tuple[list[float], dict[str, list[list[float]]]]


def _shapes(services: Services, effort: Effort, shapes: Sequence[tuple[int, Shape]]) -> Lines:
    lines: dict[str, list[list[float]]] = {RAW: [], ON_RABBITMQ: []}
    for _, shape in shapes:
        openings: dict[str, AbstractContextManager[Contestant]] = {
            RAW: raw_dramatiq(services, shape),
            ON_RABBITMQ: callboard_on_rabbitmq(services, shape),
        }
        with ExitStack() as stack:
            contestants = {name: stack.enter_context(opening) for name, opening in openings.items()}
            drains = {name: _rate(each, effort.scale_jobs) for name, each in contestants.items()}
            for name, values in in_turns(drains, effort.scale_rounds).items():
                lines[name].append(values)
    return [float(size) for size, _ in shapes], lines


def _rate(contestant: Contestant, jobs: int) -> Callable[[], float]:
    return lambda: contestant.drain(jobs).per_second


def _queues(services: Services, effort: Effort) -> Lines:
    """The workers consume as many queues as there are: one process, 32 threads."""
    rounds = []
    for size in effort.queues:
        names = list(JOB_TYPES)[:size]
        environment = {"CALLBOARD_JOB_MODULES": "bench.many_queues", QUEUES_VARIABLE: str(size)}
        shape = Shape(1, _THREADS_OF_A_PROCESS)
        with callboard_on_rabbitmq(services, shape, names=names, environment=environment) as callboard:

            def make(jobs: int, owner: str, names: Iterable[str] = tuple(names)) -> list[NewJob]:
                return [new_job(owner, type=JOB_TYPES[queue], queue=queue) for queue in islice(cycle(names), jobs)]

            rounds.append([callboard.drain(effort.scale_jobs, make).per_second for _ in range(effort.scale_rounds)])
    return [float(size) for size in effort.queues], {ON_RABBITMQ: rounds}


def _payloads(services: Services, effort: Effort) -> Lines:
    rounds = []
    with callboard_on_rabbitmq(services, Shape(1, _THREADS_OF_A_PROCESS)) as callboard:
        for size in effort.payloads:
            # Not compressible: PostgreSQL would keep a row of one letter in a few bytes.
            payload = f'{{"value":"{secrets.token_hex(size // 2)}"}}'.encode()

            def make(jobs: int, owner: str, payload: bytes = payload) -> list[NewJob]:
                return [new_job(owner, type="diagnostics.echo", payload=payload) for _ in range(jobs)]

            jobs = max(40, min(effort.scale_jobs, _MOST_BYTES // size))
            rounds.append([callboard.drain(jobs, make).per_second for _ in range(effort.scale_rounds)])
    return [float(size) for size in effort.payloads], {ON_RABBITMQ: rounds}
