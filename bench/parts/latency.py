"""From a client's submission over HTTP to the first line of the handler: on an idle system, and at half load."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import httpx
import psycopg
from pydantic import SecretStr

from bench.api import load_generator, post_text, send, serving_api
from bench.dramatiq_latency import dramatiq_behind_endpoint
from bench.effort import Effort
from bench.http_load import NOW, Load
from bench.jobs import CLOCK, LAG
from bench.processes import BenchFailed, Child, stopping
from bench.results import Figure, Part
from bench.services import Services
from callboard.db.settings import Settings
from tests.services.rabbitmq import fresh_vhost

THREADS = 8
DRAMATIQ = "idle, Dramatiq alone behind an endpoint"
IDLE_RABBITMQ = "idle, on RabbitMQ"
IDLE_EMBEDDED = "idle, embedded"
HALF_RABBITMQ = "at half load, on RabbitMQ"
HALF_EMBEDDED = "at half load, embedded"
QUANTILES = (50, 95, 99)

_PAUSE = (0.02, 0.08)
_WARM_UP = 20
_TIMEOUT = 60.0
_CONNECTIONS = 32
_SUBMISSION = f'{{"type":"{LAG}","payload":{NOW}}}'


def measure_latency(services: Services, effort: Effort) -> Part:
    part = Part(effort.rounds)
    for idle, half, embedded in ((IDLE_RABBITMQ, HALF_RABBITMQ, False), (IDLE_EMBEDDED, HALF_EMBEDDED, True)):
        with _system(services, embedded=embedded) as (port, settings, generator):
            if embedded:
                keep_quantiles(part, idle, [idle_latencies(port, effort.latencies) for _ in range(effort.rounds)])
            else:
                _beside_dramatiq(part, services, port, effort)
            most = capacity(settings, port, generator, effort.load_seconds)
            part.figures[f"submitted and done at full load, {half.rpartition(', ')[2]}"] = Figure([most], "jobs/s")
            lags = [lags_at(most / 2, settings, port, generator, effort) for _ in range(effort.rounds)]
            keep_quantiles(part, half, lags)
    return part


def _beside_dramatiq(part: Part, services: Services, port: int, effort: Effort) -> None:
    rounds: dict[str, list[list[float]]] = {DRAMATIQ: [], IDLE_RABBITMQ: []}
    with dramatiq_behind_endpoint(services, THREADS) as send_one:
        for _ in range(effort.rounds):
            rounds[DRAMATIQ].append(_one_after_the_other(send_one, effort.latencies))
            rounds[IDLE_RABBITMQ].append(idle_latencies(port, effort.latencies))
    keep_quantiles(part, DRAMATIQ, rounds[DRAMATIQ])
    keep_quantiles(part, IDLE_RABBITMQ, rounds[IDLE_RABBITMQ], beside=DRAMATIQ)


def keep_quantiles(part: Part, name: str, rounds: Sequence[Sequence[float]], beside: str = "") -> None:
    """Keep the quantiles of each round's milliseconds; ``beside``: of what they are compared with."""
    for quantile in QUANTILES:
        values = [sorted(each)[min(len(each) - 1, len(each) * quantile // 100)] for each in rounds]
        part.figures[f"{name}, p{quantile}"] = Figure(values, "ms", f"{beside}, p{quantile}" if beside else "")


def idle_latencies(port: int, jobs: int) -> list[float]:
    """Submit one job after the other; return the milliseconds from before each request to when its handler ran."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=_TIMEOUT) as client:
        return _one_after_the_other(partial(_submit_one, client), jobs)


def _one_after_the_other(submit_one: Callable[[], float], jobs: int) -> list[float]:
    for _ in range(_WARM_UP):
        submit_one()
    latencies = []
    for _ in range(jobs):
        time.sleep(random.uniform(*_PAUSE))
        latencies.append(submit_one())
    return latencies


def _submit_one(client: httpx.Client) -> float:
    sent_at = time.time()
    job = client.post("/v1/jobs", json={"type": CLOCK, "payload": None}).raise_for_status().json()
    while not job["done"]:
        if time.time() > sent_at + _TIMEOUT:
            raise BenchFailed(f"a job was not done within {_TIMEOUT:g} s: {job}")
        job = client.get(f"/v1/jobs/{job['id']}", params={"wait": 20}).raise_for_status().json()
    return float((job["result"] - sent_at) * 1000)


def capacity(settings: Settings, port: int, generator: Child, seconds: float) -> float:
    """Return how many jobs a second the whole way takes: as many as can be submitted, until all are done."""
    began = time.monotonic()
    send(generator, Load(port, _CONNECTIONS, seconds, [post_text("/v1/jobs", _SUBMISSION)]))
    return len(_lags(settings)) / (time.monotonic() - began)


def lags_at(rate: float, settings: Settings, port: int, generator: Child, effort: Effort) -> list[float]:
    """Return the milliseconds from when each request was to be sent to when its handler ran, at so many a second."""
    request = post_text("/v1/jobs", _SUBMISSION)
    send(generator, Load(port, _CONNECTIONS, effort.load_seconds, [request], rate=rate))
    return _lags(settings)


def _lags(settings: Settings) -> list[float]:
    """Wait until no job is left; return the results of those that were made since the last call."""
    give_up_at = time.monotonic() + _TIMEOUT
    with psycopg.connect(settings.require_database_url(), autocommit=True) as connection:
        while connection.execute("SELECT EXISTS (SELECT FROM callboard.jobs)").fetchone() == (True,):
            if time.monotonic() > give_up_at:
                raise BenchFailed(f"jobs were not done after {_TIMEOUT:.0f} s")
            time.sleep(0.02)
        found = connection.execute(
            "UPDATE callboard.job_history SET erased_at = now() WHERE type = %s AND erased_at IS NULL "
            "RETURNING result::float8",
            [LAG],
        ).fetchall()
    return [float(each) for (each,) in found]


@contextmanager
def _system(services: Services, *, embedded: bool) -> Iterator[tuple[int, Settings, Child]]:
    settings = services.new_database()
    with ExitStack() as stack:
        options = {"threads": THREADS}
        roles = [("work", options)] if embedded else [("dispatcher", {}), ("worker", options)]
        if not embedded:
            url = stack.enter_context(fresh_vhost(services.rabbitmq))
            settings = settings.model_copy(update={"amqp_url": SecretStr(url)})
        port, _ = stack.enter_context(serving_api(services, settings, roles))
        (generator,) = stack.enter_context(stopping([load_generator(services)]))
        yield port, settings, generator
