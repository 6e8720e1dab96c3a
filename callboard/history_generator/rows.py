"""Generated jobs as lines for COPY. Written for speed: one function call per job, no objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Final
from uuid import UUID

from callboard.history_generator.profile import KINDS, OWNER_WEIGHTS, OWNERS, Incident, Kind

_TIME_LIMIT: Final = 3600.0
_WORKERS: Final = 12
_NULL: Final = "\\N"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Lines:
    """Rows of both tables, in the order in which the jobs finished."""

    jobs: int
    history: bytes
    attempts: bytes


class Jobs:
    """Generates jobs. The same seed generates the same jobs."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._workers = [(UUID(int=random.getrandbits(128), version=4).hex, f"host-{n}.1") for n in range(_WORKERS)]

    def of_hour(self, hour: datetime, count: int, incidents: Sequence[Incident], *, load: float, now: float) -> Lines:
        """Return at most ``count`` jobs submitted in an hour; those not finished by ``now`` are left out.

        Args:
            hour: its start (UTC).
            count: number of jobs submitted.
            incidents: those of the hour.
            load: of the installation, 0 to 1.
            now: seconds since 1970.
        """
        random = self._random
        start = (hour - _EPOCH).total_seconds()
        wrong = {incident.kind.type: incident for incident in incidents}
        kinds = random.choices(KINDS, [kind.share for kind in KINDS], k=count)
        owners = random.choices(OWNERS, OWNER_WEIGHTS, k=count)
        done: list[tuple[float, str]] = []
        attempts: list[tuple[float, str]] = []
        for kind, owner in zip(kinds, owners, strict=True):
            created = round(start + random.random() * 3600.0, 3)
            finished, line = self._job(kind, owner, created, wrong.get(kind.type), load, now, attempts)
            if finished <= now:
                done.append((finished, line))
        done.sort()
        attempts.sort()
        return Lines(
            len(done), "".join(line for _, line in done).encode(), "".join(line for _, line in attempts).encode()
        )

    def _job(
        self,
        kind: Kind,
        owner: str,
        created: float,
        incident: Incident | None,
        load: float,
        now: float,
        attempts: list[tuple[float, str]],
    ) -> tuple[float, str]:
        random = self._random
        milliseconds = round(created * 1000)
        job_id = f"{milliseconds:012x}7{random.getrandbits(12):03x}{0x8 << 60 | random.getrandbits(62):016x}"
        created_text = _text(created)
        fails = kind.fails if incident is None else incident.fails
        if random.random() < kind.hopeless:
            fails = 1.0
        at = created + random.lognormvariate(-3.5, 0.6) * (1.0 + 6.0 * load * load)
        if random.random() < 0.01 * load:  # a burst was in front of it
            at += random.expovariate(1 / 20.0)
        if incident is not None and incident.delay:
            at += random.lognormvariate(0, 0.7) * incident.delay
        fate = random.random()
        if fate < 0.004:
            waited = at - created
            status = "expired" if fate < 0.001 else "cancelled"
            message = "Not started in time." if status == "expired" else "Cancelled while it waited."
            error = f'{{"reason": "{status}", "type": "{status.title()}", "message": "{message}", "attempt": 0}}'
            values = (status, "0", "0", _NULL, _NULL, _NULL, _NULL, error, _text(at + 60 * waited), _NULL)
            return at + 60 * waited, _line(job_id, created_text, kind, owner, values)
        own: list[tuple[float, str]] = []
        first_start = at
        for attempt in range(1, kind.max_retries + 2):
            worker_id, worker = random.choice(self._workers)
            run = min(random.lognormvariate(0, kind.spread) * kind.run, _TIME_LIMIT)
            if random.random() < 0.0015:
                run *= random.uniform(10, 60)  # the long tail
            failed = random.random() < fails
            lost = failed and random.random() < 0.03
            reason, type_, message = _error_of(kind, random, too_long=run >= _TIME_LIMIT, lost=lost)
            failed = failed or run >= _TIME_LIMIT
            begin, end = at, at + min(run, _TIME_LIMIT)
            shared = f"{job_id}\t{created_text}\t{attempt}"
            times = f"{worker_id}\t{worker}\t{_text(begin)}\t{_text(end)}"
            if failed:
                own.append((end, f"{shared}\tfailed\t{reason}\t{times}\t{type_}\t{message}\n"))
            else:
                own.append((end, f"{shared}\tsucceeded\t{_NULL}\t{times}\t{_NULL}\t{_NULL}\n"))
                break
            at = end + random.random() * min(300.0, 15.0 * 2**attempt)
        if end <= now:
            attempts += own
        retries = str(attempt - 1)
        error, result = _NULL, f'{{"ok": true, "n": {random.randrange(1000)}}}'
        if failed:
            result = _NULL
            error = f'{{"reason": "{reason}", "type": "{type_}", "message": "{message}", "attempt": {attempt}}}'
        values = (
            "failed" if failed else "succeeded", str(attempt), retries, _text(first_start), _text(begin), worker_id,
            worker, error, _text(end), result,
        )  # fmt: skip
        return end, _line(job_id, created_text, kind, owner, values)


def _error_of(kind: Kind, random: Random, *, too_long: bool, lost: bool) -> tuple[str, str, str]:
    if too_long:
        return "time_limit", "TimeLimitExceeded", "Ran longer than 3600 s."
    if lost:
        return "worker_lost", "WorkerLost", "The worker was not seen any more."
    type_, message = kind.errors[0] if random.random() < 0.75 else kind.errors[-1]
    return "exception", type_, message


def _line(job_id: str, created: str, kind: Kind, owner: str, values: tuple[str, ...]) -> str:
    """Return a line with the values in the order of ``callboard.db.transitions.loading.HISTORY_COLUMNS``."""
    status, attempt, retries, started, attempt_started, worker_id, worker, error, finished, result = values
    payload, tags = f'{{"customer": {int(job_id[-4:], 16)}}}', '{"generated": "yes"}'
    return (
        f"{job_id}\t{created}\t{kind.type}\t{kind.queue}\t{status}\t{kind.priority}\t{owner}\t{payload}\t{tags}\t"
        f"{attempt}\t{retries}\t{kind.max_retries}\t{_TIME_LIMIT}\t{attempt}\t{_NULL}\t{started}\t{attempt_started}\t"
        f"{worker_id}\t{worker}\t{error}\t{finished}\t{result}\n"
    )


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
