"""Clients of the system under fire: they submit, repeat what was not answered, cancel, and look at what is told."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final
from uuid import UUID, uuid4

import httpx

from tests.faults.checker import Accepted
from tests.faults.mix import TO_CANCEL, Mix, Spec

_SUBMITTERS: Final = 4
_BATCH: Final = 20
#: An answer that takes longer is given up, and the submission repeated with its key.
_LONGEST_ANSWER: Final = 8.0
_PAUSE: Final = 0.1
_CANCELLED_AFTER: Final = (0.2, 1.5)
# Shares of submissions: those of several jobs, and those that are repeated though they had been answered.
_IN_BATCHES: Final = 0.25
_REPEATED: Final = 0.1


@dataclass(slots=True)
class Told:
    """What the API has answered. Appended to by many threads."""

    accepted: list[Accepted] = field(default_factory=list)
    seen: list[tuple[UUID, str | None]] = field(default_factory=list)
    replays_that_differ: int = 0
    """Repetitions of an accepted submission that were answered with other jobs."""
    outages: int = 0
    """Requests that were not answered, or with a 5xx."""


class Load:
    """Threads that submit ``rate`` jobs a second, until stopped."""

    def __init__(self, urls: Sequence[str], mix: Mix, random: Random, *, rate: float) -> None:
        """``urls``: of all api processes; each request goes to any of them."""
        self.told = Told()
        self._urls = urls
        self._mix = mix
        self._random = random
        self._interval = (1 + _IN_BATCHES * (_BATCH - 1)) * _SUBMITTERS / rate
        self._drawing = threading.Lock()
        self._stopping = threading.Event()
        self._given_up = threading.Event()
        self._to_cancel: list[tuple[float, UUID]] = []
        self._pool = ThreadPoolExecutor(_SUBMITTERS + 2, thread_name_prefix="load")
        self._submitters: list[Future[None]] = []
        self._others: list[Future[None]] = []

    def start(self) -> None:
        self._submitters += [self._pool.submit(self._submit_on) for _ in range(_SUBMITTERS)]
        self._others += [self._pool.submit(self._cancel_on), self._pool.submit(self._watch_on)]

    def submit(self, specs: Sequence[Spec]) -> None:
        """Submit these jobs beside those of the threads."""
        with self._client() as client:
            self._submit(client, specs, repeat=False)

    def stop(self, timeout: float) -> None:
        """Submit no more; wait until all under way is answered and cancelled, or given up after ``timeout`` seconds.

        Raises:
            AssertionError: a request was refused that should not have been.
        """
        self._stopping.set()
        under_way = [*self._submitters, *self._others]
        wait(under_way, timeout)
        self._given_up.set()
        self._pool.shutdown()
        for each in under_way:
            each.result()

    def _client(self) -> httpx.Client:
        return httpx.Client(timeout=_LONGEST_ANSWER)

    def _submit_on(self) -> None:
        with self._client() as client:
            due = time.monotonic() + self._random.uniform(0, self._interval)
            while not self._stopping.wait(max(0.0, due - time.monotonic())):
                due = max(due + self._interval, time.monotonic() - 1)  # after an outage: catch up on a second of it
                with self._drawing:
                    specs = self._mix.several(_BATCH if self._random.random() < _IN_BATCHES else 1)
                    repeat = self._random.random() < _REPEATED
                self._submit(client, specs, repeat=repeat)

    def _submit(self, client: httpx.Client, specs: Sequence[Spec], *, repeat: bool) -> None:
        path, body = ("/v1/jobs", specs[0].body()) if len(specs) == 1 else _batch(specs)
        key = str(uuid4())
        ids = self._until_accepted(client, path, body, key)
        if ids is None:
            return
        now = time.time()
        self.told.accepted.extend(Accepted(id_, spec, now) for id_, spec in zip(ids, specs, strict=True))
        for id_, spec in zip(ids, specs, strict=True):
            if spec.kind in TO_CANCEL:
                heapq.heappush(self._to_cancel, (time.monotonic() + self._random.uniform(*_CANCELLED_AFTER), id_))
        if repeat and self._until_accepted(client, path, body, key) not in {ids, None}:
            self.told.replays_that_differ += 1

    def _until_accepted(self, client: httpx.Client, path: str, body: Any, key: str) -> tuple[UUID, ...] | None:
        """Submit until it is accepted; None if the load gives up before that."""
        while not self._given_up.is_set():
            answer = self._ask(client, "POST", path, json=body, headers={"Idempotency-Key": key})
            if answer is not None and answer.is_success:
                told = answer.json()
                return tuple(map(UUID, told["ids"] if "ids" in told else [told["id"]]))
            # 409: the first try of this key is still under way.
            assert answer is None or answer.status_code == httpx.codes.CONFLICT, answer.text
            self._given_up.wait(_PAUSE)
        return None

    def _cancel_on(self) -> None:
        with self._client() as client:
            while not self._given_up.is_set():
                if not self._to_cancel:
                    if self._stopping.is_set() and all(each.done() for each in self._submitters):
                        return
                    self._given_up.wait(_PAUSE)
                    continue
                due, id_ = heapq.heappop(self._to_cancel)
                self._given_up.wait(max(0.0, due - time.monotonic()))
                answer = self._ask(client, "POST", f"/v1/jobs/{id_}/cancel")
                if answer is None:
                    heapq.heappush(self._to_cancel, (time.monotonic() + _PAUSE, id_))
                elif answer.status_code == httpx.codes.NOT_FOUND:
                    self.told.seen.append((id_, None))
                elif answer.is_success:
                    self._note(id_, answer)

    def _watch_on(self) -> None:
        random = Random(0)
        with self._client() as client:
            while not self._stopping.wait(_PAUSE / 2):
                if self.told.accepted:
                    id_ = random.choice(self.told.accepted).job_id
                    answer = self._ask(client, "GET", f"/v1/jobs/{id_}")
                    if answer is not None:
                        self._note(id_, answer)

    def _note(self, id_: UUID, answer: httpx.Response) -> None:
        self.told.seen.append((id_, answer.json()["status"] if answer.is_success else None))

    def _ask(self, client: httpx.Client, method: str, path: str, **options: Any) -> httpx.Response | None:
        """Return the answer of any of the apis; None if there is none, or it says to come again."""
        with suppress(httpx.TransportError):
            answer = client.request(method, self._random.choice(self._urls) + path, **options)
            if not answer.is_server_error and answer.status_code != httpx.codes.REQUEST_TIMEOUT:
                return answer
        self.told.outages += 1
        return None


def _batch(specs: Sequence[Spec]) -> tuple[str, Any]:
    return "/v1/jobs/batch", {"jobs": [spec.body() for spec in specs]}
