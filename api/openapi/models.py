"""What the API answers with, for its documentation: rows are encoded without these models."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field

from callboard.db.rules.states import AttemptOutcome, EventKind, Reason, Status

Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """Part of a list."""

    items: list[Item]
    next_page_token: str | None = Field(description="Asks for the rest; null if this is all.")


class Progress(BaseModel):
    """The latest report of the present attempt."""

    percent: float | None
    current: float
    total: float | None
    step: str | None
    message: str | None
    updated_at: AwareDatetime


class JobError(BaseModel):
    """Why an attempt did not succeed."""

    reason: Reason
    type: str
    message: str
    attempt: int


class Links(BaseModel):
    """Where a job and what belongs to it are."""

    self: str
    result: str
    events: str
    attempts: str
    cancel: str


class WaitingFor(BaseModel):
    """What a job waits for, other than its time or its turn."""

    kind: Literal["worker"] = Field(description="worker: those that took it do not know its type; others may come.")
    type: str = Field(description="That job type.")
    since: AwareDatetime = Field(description="After a grace from then on it fails with unknown_type.")
    tries: int = Field(description="Workers that took it and did not know the type.")


class JobInList(BaseModel):
    """A job, as lists show it."""

    id: UUID
    type: str
    queue: str
    status: Status
    done: bool = Field(description="Whether it has ended: succeeded, failed, cancelled or expired.")
    priority: int
    owner: str
    tags: dict[str, str]
    progress: Progress | None
    error: JobError | None
    attempt: int = Field(description="Number of the present or last attempt; 0 before the first.")
    max_retries: int
    time_limit: float = Field(description="Seconds that one attempt may take.")
    created_at: AwareDatetime
    scheduled_at: AwareDatetime | None
    started_at: AwareDatetime | None
    finished_at: AwareDatetime | None
    expires_at: AwareDatetime | None
    next_attempt_at: AwareDatetime | None
    cancel_requested_at: AwareDatetime | None
    parent_id: UUID | None
    worker: str | None
    links: Links
    result_ttl: float | None = Field(description="Seconds after a success for which payload and result are kept.")
    waiting_for: WaitingFor | None = Field(description="What it waits for, other than its time or its turn.")


class Estimate(BaseModel):
    """When a job is likely to start and to be done: from recent runs of its type and its place in line."""

    starts_in: float = Field(description="Seconds from now; 0 once it runs.")
    finishes_in: float = Field(description="Seconds from now.")


class Total(BaseModel):
    """How many jobs a list has on all its pages."""

    count: int
    more: bool = Field(description="Whether there are more, or may be: counting ended here.")


class JobPage(Page[JobInList]):
    """Jobs of a list."""

    total: Total | None = Field(default=None, description="With total=true only.")


class Job(JobInList):
    """A job."""

    estimate: Estimate | None = Field(description="null once it is done, and where nothing tells.")
    result: Any = Field(description="What it returned; null until it has succeeded.")
    payload: Any = Field(default=None, description="With include=payload only.")


class Batch(BaseModel):
    """The jobs of a batch."""

    ids: list[UUID] = Field(description="In the order of the request.")


class Attempt(BaseModel):
    """One attempt that has ended."""

    attempt: int
    outcome: AttemptOutcome
    worker: str
    started_at: AwareDatetime
    finished_at: AwareDatetime
    error: JobError | None
    traceback: str | None = Field(default=None, description="For operators only.")


class OutputFile(BaseModel):
    """A file that an attempt attached to its job; it is downloaded at /v1/files/{id}."""

    id: UUID
    name: str
    size: int = Field(description="Bytes.")
    sha256: str = Field(description="64 hexadecimal digits.")
    media_type: str
    created_at: AwareDatetime
    attempt: int


class Event(BaseModel):
    """One thing that happened to a job; what does not belong to its type is null."""

    id: str = Field(description="Where a stream or page goes on after it.")
    type: EventKind
    at: AwareDatetime
    attempt: int = Field(description="0 before the first; of waiting, the one that waits.")
    worker: str | None
    progress: Progress | None
    error: JobError | None
    next_attempt_at: AwareDatetime | None = Field(description="Of a retry, while it is ahead.")
    status: Status | None = Field(description="How the job finished.")
    waiting_for: WaitingFor | None = Field(description="Of waiting: what for.")


class StreamTicket(BaseModel):
    """What opens one live stream."""

    ticket: str = Field(description="Goes into the URL of the stream, as its last parameter: ticket=…")
    expires_at: AwareDatetime = Field(description="By then the stream has to be opened.")


class UploadedFile(BaseModel):
    """A file. ``size`` is bytes, ``sha256`` 64 hexadecimal digits."""

    id: UUID
    name: str
    size: int
    sha256: str
    media_type: str


class Defaults(BaseModel):
    """What a submission gets that does not say otherwise. Times are seconds."""

    priority: int
    max_retries: int
    time_limit: float
    min_backoff: float
    max_backoff: float


class JobType(BaseModel):
    """What can be submitted."""

    name: str
    queue: str
    description: str
    defaults: Defaults
    bounds: dict[str, dict[str, float]] = Field(description="What a submission may ask for, by option.")
    payload_schema: dict[str, Any] = Field(description="JSON Schema of the payload.")
    result_schema: dict[str, Any] = Field(description="JSON Schema of the result.")
    example: Any = Field(description="A payload, or null.")


class QueueLimits(BaseModel):
    """Limits of a queue; null: none, or the server's default."""

    dispatch_window: int | None
    concurrency_limit: int | None
    rate_limit: int | None
    rate_period: float | None


class Queue(BaseModel):
    """A queue."""

    name: str
    waiting: int
    running: int
    oldest_waiting_age: float | None = Field(description="Seconds since the queued job that waits longest was due.")
    throughput: int = Field(description="Jobs that ended in the last minute.")
    paused: bool
    limits: QueueLimits


class Worker(BaseModel):
    """One start of a worker process."""

    id: UUID
    name: str
    state: Literal["running", "draining", "stopped", "lost"]
    host: str
    pid: int
    version: str
    queues: list[str]
    threads: int
    running: int = Field(description="Jobs that it runs now.")
    jobs: list[UUID] = Field(description="Which these are.")
    started_at: AwareDatetime
    last_seen_at: AwareDatetime


class Count(BaseModel):
    """Live jobs of one status, type and queue."""

    status: Status
    type: str
    queue: str
    jobs: int


class Outcomes(BaseModel):
    """Finished jobs by how they ended."""

    succeeded: int
    failed: int
    cancelled: int
    expired: int


class FinishedCounts(BaseModel):
    """The jobs that finished in the last day, or an hour more."""

    since: AwareDatetime = Field(alias="from")
    until: AwareDatetime = Field(alias="to")
    jobs: int
    by_status: Outcomes
    by_type: dict[str, Outcomes] = Field(description="The 1,000 types with the most jobs.")


class Stats(BaseModel):
    """How many live jobs there are, and how many finished lately."""

    at: AwareDatetime
    live: int
    by_status: dict[str, int] = Field(description="Of live jobs, as are by_type, by_queue and items.")
    by_type: dict[str, int]
    by_queue: dict[str, int]
    items: list[Count]
    finished: FinishedCounts


class QueueWorkers(BaseModel):
    """The workers that take jobs of a queue."""

    queue: str
    workers: int
    threads: int = Field(description="Jobs that they can run at a time, of this queue and of others that they serve.")
    paused: bool


class WorkerStatus(BaseModel):
    """Whether jobs run."""

    at: AwareDatetime
    alive: bool = Field(description="Whether any worker takes jobs.")
    workers: int
    threads: int = Field(description="Jobs that all workers together can run at a time.")
    items: list[QueueWorkers] = Field(description="Every queue; one that is paused, or has no workers, stands still.")


class Health(BaseModel):
    """The answer of a probe."""

    status: str


class Index(BaseModel):
    """What runs here, and where its parts are."""

    name: str
    version: str
    links: dict[str, str]


class Version(BaseModel):
    """What runs."""

    name: str
    version: str
    api: str
    python: str


class ProblemKind(BaseModel):
    """A kind of problem."""

    type: str
    code: str
    status: int
    title: str
    explanation: str


class ProblemError(BaseModel):
    """One thing that is wrong with the input."""

    detail: str
    pointer: str = Field(
        description="JSON pointer into the body; for parameters /query/…, /path/… or /headers/… and the name."
    )


class ProblemDetails(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: list[ProblemError] = Field(default=[], description="Of input that does not fit.")
    error: JobError | None = Field(default=None, description="Of a job that is done without success.")
