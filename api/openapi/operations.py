"""What the OpenAPI document says about each operation beyond its docstring."""

from __future__ import annotations

from typing import Final

from fastapi import Response
from pydantic import BaseModel

from callboard.api.errors import (
    Forbidden,
    IdempotencyKeyInFlight,
    IdempotencyKeyReused,
    MisdirectedRequest,
    NotDone,
    QuotaExceeded,
    ResultErased,
    Unauthenticated,
    Unsuccessful,
)
from callboard.api.openapi import examples, headers, models
from callboard.api.openapi.parts import Document, body, links_by, listed, operation, response
from callboard.api.wire.parameters import JOB_ID, documented
from callboard.api.wire.requests import (
    AmendJob,
    BulkJobs,
    ConfigureQueue,
    MakeStreamTicket,
    Payload,
    SubmitBatch,
    SubmitJob,
)
from callboard.db.errors import Conflict, InvalidInput, PreconditionFailed, Unavailable, UnknownJobType


def _job_links(source: str) -> Document:
    of_job = (
        "getJob",
        "getResult",
        "listEvents",
        "listAttempts",
        "listJobFiles",
        "cancelJob",
        "retryJob",
        "amendJob",
        "deleteJob",
    )
    return links_by("job_id", source, *of_job) | links_by("parent_id", source, "listJobs", where="query")


_STRING: Final[Document] = {"type": "string"}
_SECONDS: Final[Document] = {"type": "number", "minimum": 0, "maximum": 60}
_ETAG: Final = {"ETag": headers.ETAG}
_REPLAYED: Final = {"Idempotency-Replayed": headers.REPLAYED}
_SUBMITTED: Final = {
    "Location": headers.JOB_LOCATION,
    **_REPLAYED,
    "Preference-Applied": headers.PREFERENCE_APPLIED,
}
_KEY: Final = documented(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "The same key with the same body gives the same jobs, for 24 hours at least.",
    where="header",
)
_ONE: Final = _job_links("$response.body#/id")
_FIRST_QUEUE: Final = links_by(
    "name", "$response.body#/items/0/name", "pauseQueue", "resumeQueue", "configureQueue"
) | links_by("queue", "$response.body#/items/0/name", "listJobs", where="query")
_FIRST_TYPE: Final = links_by("name", "$response.body#/items/0/name", "getJobType")

#: Request bodies that FastAPI does not see in a signature.
BODIES: Final[tuple[type[BaseModel], ...]] = (
    SubmitJob,
    SubmitBatch,
    AmendJob,
    BulkJobs,
    ConfigureQueue,
    MakeStreamTicket,
    Payload,
)

_KEY_PROBLEMS: Final = (IdempotencyKeyInFlight.code, IdempotencyKeyReused.code)
_SUBMISSION_PROBLEMS: Final = (UnknownJobType.code, *_KEY_PROBLEMS, QuotaExceeded.code)

SUBMIT_JOB: Final = operation(
    {
        202: response(
            models.Job,
            "Accepted: the job is stored durably.",
            sent={**_SUBMITTED, **_ETAG, "Retry-After": headers.required(headers.RETRY_AFTER)},
            links=_ONE,
        ),
        200: response(
            models.Job,
            "Done already, or the live job of the same unique_key.",
            sent={**_SUBMITTED, **_ETAG, "Retry-After": headers.RETRY_AFTER},
            links=_ONE,
        ),
    },
    problems=_SUBMISSION_PROBLEMS,
    parameters=[
        _KEY,
        documented("Prefer", _STRING, "respond-async (the default), or wait=N seconds.", where="header"),
        documented("async_mode", {"type": "boolean"}, "false: wait as long as the server allows."),
    ],
    body=body(SubmitJob),
)
SUBMIT_BATCH: Final = operation(
    {202: response(models.Batch, "Accepted: the jobs are stored durably.", sent=_REPLAYED)},
    problems=_SUBMISSION_PROBLEMS,
    parameters=[_KEY],
    body=body(SubmitBatch),
)
RUN_JOB: Final = operation(
    {
        200: {
            "description": "What the job returned.",
            "content": {"application/json": {"schema": {}, "example": examples.RESULT}},
            "headers": _SUBMITTED,
        },
        202: response(
            models.Job,
            "Not done yet.",
            sent={**_SUBMITTED, **_ETAG, "Retry-After": headers.RETRY_AFTER},
            links=_ONE,
        ),
    },
    problems=(*_KEY_PROBLEMS, QuotaExceeded.code, Unsuccessful.code, ResultErased.code),
    parameters=[
        _KEY,
        documented(
            "Prefer",
            _STRING,
            "wait=N seconds (default: as long as the server allows), or respond-async.",
            where="header",
        ),
        documented("async_mode", {"type": "boolean"}, "true: do not wait."),
    ],
    body=body(Payload),
)
GET_JOB: Final = operation(
    {
        200: response(models.Job, "OK", sent=_ETAG, links=_ONE),
        304: {"description": "Not changed.", "headers": _ETAG},
    },
    problems=[InvalidInput.code],
    parameters=[
        JOB_ID,
        documented("wait", _SECONDS, "Seconds to wait for it to be done or, with If-None-Match, to change."),
        documented("include", {"type": "string", "enum": ["payload"]}, "Adds the payload."),
        documented("If-None-Match", _STRING, "ETag of the state that is known already.", where="header"),
    ],
)
GET_RESULT: Final = operation(
    {
        200: {
            "description": "What the job returned.",
            "content": {"application/json": {"schema": {}, "example": examples.RESULT}},
        }
    },
    problems=(NotDone.code, Unsuccessful.code, ResultErased.code),
)
LIST_ATTEMPTS: Final = operation({200: listed(models.Attempt)})
LIST_JOB_FILES: Final = operation({200: listed(models.OutputFile)})
CANCEL_JOB: Final = operation(
    {202: response(models.Job, "Cancelled, or about to stop.", sent=_ETAG, links=_ONE)},
    problems=[Conflict.code],
)
RETRY_JOB: Final = operation(
    {202: response(models.Job, "Queued.", sent=_ETAG, links=_ONE)}, problems=(Conflict.code, QuotaExceeded.code)
)
AMEND_JOB: Final = operation(
    {200: response(models.Job, "Changed.", sent=_ETAG, links=_ONE)},
    problems=(Conflict.code, PreconditionFailed.code),
    parameters=[documented("If-Match", _STRING, "ETag of the state that may be changed.", where="header")],
    body=body(AmendJob),
)
BULK_JOBS: Final = operation(
    {
        202: response(
            models.Job,
            "Accepted: the job that does it.",
            sent={
                "Location": headers.JOB_LOCATION,
                **_REPLAYED,
                **_ETAG,
                "Retry-After": headers.required(headers.RETRY_AFTER),
            },
            links=_ONE,
        )
    },
    problems=_KEY_PROBLEMS,
    parameters=[_KEY],
    body=body(BulkJobs),
)
DELETE_JOB: Final = operation({204: {"description": "Erased."}}, problems=[Conflict.code])
LIST_JOBS: Final = operation(
    {
        200: response(
            models.JobPage,
            "OK",
            sent={"Link": headers.NEXT_PAGE},
        )
    }
)


def _stream(example: str) -> Document:
    schema = {"type": "string", "description": "Server-sent events."}
    return {"text/event-stream": {"schema": schema, "example": example}}


def _last_event_id(pattern: str) -> list[Document]:
    schema = {"type": "string", "pattern": pattern}
    return [
        documented("Last-Event-ID", schema, "Go on after this event.", where="header"),
        documented("last_event_id", schema, "The same, for who cannot send the header; without effect beside it."),
    ]


LIST_EVENTS: Final = operation(
    {
        200: {
            **response(
                models.Page[models.Event],
                "What happened so far, or a live stream.",
                sent={"Vary": headers.VARY_ACCEPT},
            ),
            "content": {
                **_stream(examples.EVENT_STREAM),
            },
        },
        204: {"description": "The job is done, and Last-Event-ID was the last: do not come back."},
    },
    parameters=_last_event_id(r"^[0-9]{1,9}\.[0-5]\.[0-9]{1,15}\.[0-9]{1,15}$"),
    by_ticket=True,
)
STREAM_JOBS: Final = {
    "response_class": Response,
    **operation(
        {
            200: {
                "description": "Events of type job, each with a job as lists show it.",
                "content": _stream(examples.JOB_STREAM),
                "headers": {"Vary": headers.VARY_ACCEPT},
            }
        },
        parameters=_last_event_id("^[0-9]{1,15}-[0-9]{1,18}:[0-9]{1,18}:([0-9]{1,18}(,[0-9]{1,18})*)?$"),
        by_ticket=True,
    ),
}
MAKE_STREAM_TICKET: Final = operation({201: response(models.StreamTicket, "The ticket.")}, body=body(MakeStreamTicket))
LIST_JOB_TYPES: Final = operation({200: listed(models.JobType, _FIRST_TYPE)})
GET_JOB_TYPE: Final = operation({200: response(models.JobType, "OK")})
LIST_QUEUES: Final = operation({200: listed(models.Queue, _FIRST_QUEUE)})
CHANGE_QUEUE: Final = operation({200: response(models.Queue, "As it is from now on.")})
CONFIGURE_QUEUE: Final = operation(
    {200: response(models.Queue, "As it is from now on.")},
    body=body(ConfigureQueue),
)
LIST_WORKERS: Final = operation({200: listed(models.Worker)})
GET_WORKER_STATUS: Final = operation({200: response(models.WorkerStatus, "OK")})
GET_STATS: Final = operation({200: response(models.Stats, "OK")})
INDEX: Final = operation(
    {
        200: response(models.Index, "OK", sent={"Vary": headers.VARY_ACCEPT}),
        307: {
            "description": "For browsers: the documentation.",
            "headers": {
                "Location": headers.header("The page.", required=True, example="/docs"),
                "Vary": headers.VARY_ACCEPT,
            },
        },
    }
)
METRICS: Final[Document] = {
    "response_class": Response,
    **operation(
        {200: {"description": "OK", "content": {"text/plain": {"schema": _STRING, "example": examples.METRICS}}}},
        problems=(Unauthenticated.code, Forbidden.code, MisdirectedRequest.code, Unavailable.code),
    ),
}
LIVE: Final = operation({200: response(models.Health, "The process serves.")})
READY: Final = operation({200: response(models.Health, "Requests would succeed.")}, problems=[Unavailable.code])
VERSION: Final = operation({200: response(models.Version, "OK")})
PROBLEM: Final = operation({200: response(models.ProblemKind, "OK")})
