"""Judges a scenario by all that it left behind. Pure: evidence in, findings out."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from uuid import UUID

from tests.faults.hostile import LONGEST_END, TIME_LIMIT
from tests.faults.ledger import Line, Mark
from tests.faults.mix import AT_ONCE, Kind, Spec

_NEVER = float("inf")
#: An attempt may be recorded so while its handler runs: its worker is lost, or its thread hangs beyond its time.
_TAKEN_AWAY = frozenset({"worker_lost", "time_limit"})
_TERMINAL = frozenset({"succeeded", "failed", "cancelled", "expired"})


@dataclass(frozen=True, slots=True)
class Accepted:
    """A submission that was answered with a 2xx."""

    job_id: UUID
    spec: Spec
    at: float


@dataclass(frozen=True, slots=True)
class JobRow:
    """A row of ``jobs`` or ``job_history``."""

    id: UUID
    number: int
    status: str
    attempt: int
    result_attempt: int | None = None
    """Which attempt its result says it is from."""
    progress: float | None = None
    """``current`` of its last progress report."""
    scheduled_at: float | None = None


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """A row of ``job_attempts``."""

    job_id: UUID
    attempt: int
    outcome: str
    reason: str | None
    finished_at: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known when a scenario is over. Times are seconds since the epoch."""

    accepted: Sequence[Accepted]
    live: Sequence[JobRow]
    history: Sequence[JobRow]
    attempts: Sequence[AttemptRow]
    ledger: Sequence[Line]
    answers: Mapping[UUID, str | None]
    """What the API says at last of each accepted job; None: 404."""
    seen: Sequence[tuple[UUID, str | None]]
    """What it said meanwhile."""
    deaths: Mapping[int, float]
    """When processes died, by pid."""
    fault_ended: float


@dataclass(slots=True)
class Findings:
    """What the checker found; ids of jobs, so that each can be looked into."""

    accepted: int = 0
    lost: set[UUID] = field(default_factory=set)
    """Accepted, and neither live nor in the history, or the API did not know it once."""
    stuck: set[UUID] = field(default_factory=set)
    """Still live long after the fault."""
    two_outcomes: set[UUID] = field(default_factory=set)
    """More than one terminal record, or the API told another outcome before."""
    wrong: dict[UUID, str] = field(default_factory=dict)
    """Another outcome than its kind must have, or a record that contradicts the handlers; and how."""
    submitted_twice: set[UUID] = field(default_factory=set)
    """One submission that made several jobs."""
    overlapped: set[UUID] = field(default_factory=set)
    """Two handlers of it ran at once, though the first attempt had not been taken from its worker."""
    doubled: set[UUID] = field(default_factory=set)
    """Its effect happened again after an attempt that counts as having had it, or twice in one attempt."""
    repeated: int = 0
    """Effects of attempts that were lost before their record: what at-least-once means."""
    fenced: int = 0
    """Handlers that still ran when their job, taken from their worker, ran elsewhere: their records changed nothing."""
    working_after: float = 0.0
    """Seconds from the fault's end until jobs start at half the rate of submissions again, or faster."""
    caught_up_after: float = 0.0
    """Seconds from the fault's end until the last job accepted before it began the attempt that succeeded."""

    @property
    def violations(self) -> dict[str, int]:
        """Return the counts that must be zero, those that are not."""
        counts = {
            "lost": len(self.lost),
            "stuck": len(self.stuck),
            "two outcomes": len(self.two_outcomes),
            "wrong": len(self.wrong),
            "submitted twice": len(self.submitted_twice),
            "overlapped": len(self.overlapped),
            "doubled": len(self.doubled),
        }
        return {name: count for name, count in counts.items() if count}


@dataclass(frozen=True, slots=True)
class _Run:
    """A handler's run of one attempt."""

    attempt: int
    start: float
    end: float


def check(evidence: Evidence) -> Findings:
    """Return what is wrong, and what is merely worth telling."""
    findings = Findings(accepted=len(evidence.accepted))
    jobs = {accepted.job_id: accepted for accepted in evidence.accepted}
    history = _by_id(evidence.history, jobs)
    live = _by_id(evidence.live, jobs)
    attempts: dict[UUID, dict[int, AttemptRow]] = defaultdict(dict)
    for row in evidence.attempts:
        attempts[row.job_id][row.attempt] = row
    lines: dict[UUID, list[Line]] = defaultdict(list)
    for line in evidence.ledger:
        lines[line.job_id].append(line)

    for job_id, accepted in jobs.items():
        records = history.get(job_id, [])
        if not records and job_id not in live:
            findings.lost.add(job_id)
        elif not records:
            findings.stuck.add(job_id)
        if len(records) > 1 or (records and job_id in live):
            findings.two_outcomes.add(job_id)
        runs = _runs(lines[job_id], attempts[job_id], evidence.deaths)
        _check_overlaps(findings, job_id, runs, attempts[job_id])
        _check_effects(findings, job_id, lines[job_id], attempts[job_id])
        for problem in _contradictions(accepted, records, attempts[job_id], lines[job_id]):
            findings.wrong.setdefault(job_id, problem)
        if records and records[0].status == "succeeded" and _waits_for_nothing(accepted, evidence.fault_ended):
            began = min((run.start for run in runs if run.attempt == records[0].attempt), default=0.0)
            findings.caught_up_after = max(findings.caught_up_after, began - evidence.fault_ended)
    findings.working_after = _working_after(evidence)
    _check_answers(findings, evidence, history)
    _check_numbers(findings, evidence)
    return findings


def _by_id(rows: Sequence[JobRow], of: Mapping[UUID, Accepted]) -> dict[UUID, list[JobRow]]:
    found: dict[UUID, list[JobRow]] = defaultdict(list)
    for row in rows:
        if row.id in of:
            found[row.id].append(row)
    return found


def _runs(lines: Sequence[Line], attempts: Mapping[int, AttemptRow], deaths: Mapping[int, float]) -> list[_Run]:
    ends = {(line.attempt, line.pid): line.at for line in lines if line.mark is Mark.END}
    runs = []
    for line in lines:
        if line.mark is Mark.START:
            # One that was killed wrote no end.
            end = ends.get((line.attempt, line.pid), deaths.get(line.pid, _NEVER))
            recorded = attempts.get(line.attempt)
            if end == _NEVER and recorded is not None and recorded.reason != "worker_lost":
                end = recorded.finished_at
            runs.append(_Run(line.attempt, line.at, end))
    return sorted(runs, key=lambda run: run.start)


def _check_overlaps(findings: Findings, job_id: UUID, runs: Sequence[_Run], attempts: Mapping[int, AttemptRow]) -> None:
    for earlier, later in combinations(runs, 2):
        if earlier.end <= later.start:
            continue
        recorded = attempts.get(earlier.attempt)
        taken_away = recorded is not None and recorded.reason in _TAKEN_AWAY and recorded.finished_at <= later.start
        if taken_away and earlier.attempt < later.attempt:
            findings.fenced += 1
        else:
            findings.overlapped.add(job_id)


def _check_effects(findings: Findings, job_id: UUID, lines: Sequence[Line], attempts: Mapping[int, AttemptRow]) -> None:
    effects = [line.attempt for line in lines if line.mark is Mark.EFFECT]
    if len(effects) < 2:
        return
    lost = [
        attempt
        for attempt in effects
        if (recorded := attempts.get(attempt)) is not None and recorded.outcome != "succeeded"
    ]
    if len(set(effects)) < len(effects) or len(effects) - len(lost) > 1:
        findings.doubled.add(job_id)
    findings.repeated += len(set(effects)) - 1


def _contradictions(
    accepted: Accepted, records: Sequence[JobRow], attempts: Mapping[int, AttemptRow], lines: Sequence[Line]
) -> Iterator[str]:
    spec = accepted.spec
    starts = [line.at for line in lines if line.mark is Mark.START]
    for record in records:
        if record.status != spec.expected:
            yield f"{spec.kind} ({spec.type} {spec.work.get('how', '')}): {record.status}, not {spec.expected}"
        if sorted(attempts) != list(range(1, record.attempt + 1)):
            yield f"{spec.kind}: attempts {sorted(attempts)} recorded of {record.attempt}"
        if record.status == "succeeded":
            if record.result_attempt != record.attempt:
                yield f"the result of attempt {record.result_attempt} stands in the record of {record.attempt}"
            if (Mark.EFFECT, record.attempt) not in {(line.mark, line.attempt) for line in lines}:
                yield f"attempt {record.attempt} succeeded without its effect"
            if (steps := spec.work.get("steps", 0)) and record.progress != steps:
                yield f"its last progress is {record.progress}, not {steps}"
        if starts and record.scheduled_at is not None and min(starts) < record.scheduled_at:
            yield f"started {record.scheduled_at - min(starts):.3f} s before its time"
    if spec.kind is Kind.HOSTILE:
        for line in lines:
            recorded = attempts.get(line.attempt)
            if line.mark is Mark.START and recorded and recorded.finished_at > line.at + TIME_LIMIT + LONGEST_END:
                yield f"{spec.work['how']}: recorded {recorded.finished_at - line.at:.1f} s after its start"
    if len({(line.attempt, line.pid) for line in lines if line.mark is Mark.START}) < len(starts):
        yield "an attempt was started twice"


def _waits_for_nothing(accepted: Accepted, fault_ended: float) -> bool:
    return accepted.spec.kind in AT_ONCE and accepted.at < fault_ended


def _working_after(evidence: Evidence) -> float:
    submitted = [each.at for each in evidence.accepted]
    if len(submitted) < 2:
        return 0.0
    enough = len(submitted) / (max(submitted) - min(submitted)) / 2
    starts = sorted(line.at for line in evidence.ledger if line.mark is Mark.START and line.at >= evidence.fault_ended)
    for since in (evidence.fault_ended, *starts):
        if bisect_left(starts, since + 1) - bisect_left(starts, since) >= enough:
            return since - evidence.fault_ended
    return _NEVER


def _check_answers(findings: Findings, evidence: Evidence, history: Mapping[UUID, Sequence[JobRow]]) -> None:
    for job_id, status in [*evidence.answers.items(), *evidence.seen]:
        if status is None:
            findings.lost.add(job_id)
        elif status in _TERMINAL and status not in {record.status for record in history.get(job_id, [])}:
            findings.two_outcomes.add(job_id)


def _check_numbers(findings: Findings, evidence: Evidence) -> None:
    jobs_of: Counter[int] = Counter()
    for _, number in {(row.id, row.number) for row in [*evidence.live, *evidence.history]}:
        jobs_of[number] += 1
    findings.submitted_twice |= {each.job_id for each in evidence.accepted if jobs_of[each.spec.number] > 1}
