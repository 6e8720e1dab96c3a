"""The clients of the HTTP API: :class:`Client`, and :class:`AsyncClient` for programs on asyncio."""

from callboard.api.openapi.models import Job, JobInList
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
    Unsuccessful,
    WaitTimeout,
)
from callboard.client.operations import StoredFile
from callboard.client.options import Filters, NewJob, SubmitOptions
from callboard.client.synchronous import Client

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "Conflict",
    "Filters",
    "InvalidRequest",
    "Job",
    "JobInList",
    "NewJob",
    "NotDone",
    "NotFound",
    "Problem",
    "ResultErased",
    "ServerUnavailable",
    "ServerUnreachable",
    "StoredFile",
    "SubmitOptions",
    "TooManyRequests",
    "Unauthorized",
    "Unsuccessful",
    "WaitTimeout",
]
