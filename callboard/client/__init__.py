"""The clients of the HTTP API: :class:`Client`, and :class:`AsyncClient` for programs on asyncio."""

from callboard.api.openapi.history_operations import (
    Durations,
    FailureGroup,
    FailureGroups,
    HistorySummary,
    PeriodSummary,
)
from callboard.api.openapi.models import Attempt, JobError, JobInList, JobType, Page, Queue, UploadedFile, Worker
from callboard.client.asynchronous import AsyncClient
from callboard.client.errors import (
    ClientError,
    Conflict,
    InvalidRequest,
    NotDone,
    NotFound,
    Problem,
    ResultErased,
    ServerUnavailable,
    ServerUnreachable,
    TooManyRequests,
    Unauthorized,
    UnexpectedResponse,
    Unsuccessful,
    WaitTimeout,
)
from callboard.client.models import Job
from callboard.client.options import (
    ExportOptions,
    FailureOptions,
    Filters,
    ListOptions,
    NewJob,
    SubmitOptions,
    SummaryOptions,
)
from callboard.client.synchronous import Client

__all__ = [
    "AsyncClient",
    "Attempt",
    "Client",
    "ClientError",
    "Conflict",
    "Durations",
    "ExportOptions",
    "FailureGroup",
    "FailureGroups",
    "FailureOptions",
    "Filters",
    "HistorySummary",
    "InvalidRequest",
    "Job",
    "JobError",
    "JobInList",
    "JobType",
    "ListOptions",
    "NewJob",
    "NotDone",
    "NotFound",
    "Page",
    "PeriodSummary",
    "Problem",
    "Queue",
    "ResultErased",
    "ServerUnavailable",
    "ServerUnreachable",
    "SubmitOptions",
    "SummaryOptions",
    "TooManyRequests",
    "Unauthorized",
    "UnexpectedResponse",
    "Unsuccessful",
    "UploadedFile",
    "WaitTimeout",
    "Worker",
]
