"""What the OpenAPI document says about each operation beyond its docstring."""

from __future__ import annotations

from typing import Any, Final

from fastapi import Response
from pydantic import BaseModel

from api import answers
from api.parameters import documented
from api.schemas import AmendJob, ConfigureQueue, Payload, SubmitBatch, SubmitJob

Document = dict[str, Any]


def _answer(model: type[BaseModel], description: str = "OK", *, headers: Document | None = None) -> Document:
    answer: Document = {"model": model, "description": description}
    if headers:
        answer["headers"] = headers
    return answer


def _header(description: str) -> Document:
    return {"description": description, "schema": {"type": "string"}}


def _body(model: type[BaseModel]) -> Document:
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


_STRING: Final[Document] = {"type": "string"}
_SECONDS: Final[Document] = {"type": "number", "minimum": 0, "maximum": 60}
_JOB_ID: Final = documented("job_id", {"type": "string", "format": "uuid"}, "The job.", where="path")
_ETAG: Final = {"ETag": _header("State of the job, for If-None-Match.")}
_SUBMITTED: Final = {
    **_ETAG,
    "Location": _header("The job."),
    "Idempotency-Replayed": _header("true, if this key was used before for the same request."),
    "Preference-Applied": _header("What of Prefer was done."),
}
_KEY: Final = documented(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "The same key with the same body gives the same jobs, for 24 hours at least.",
    where="header",
)

#: Request bodies that FastAPI does not see in a signature.
BODIES: Final[tuple[type[BaseModel], ...]] = (SubmitJob, SubmitBatch, AmendJob, ConfigureQueue, Payload)

SUBMIT_JOB: Final[Document] = {
    "status_code": 202,
    "responses": {
        200: _answer(answers.Job, "Done already, or the live job of the same unique_key.", headers=_SUBMITTED),
        202: _answer(answers.Job, "Accepted.", headers={**_SUBMITTED, "Retry-After": _header("Seconds.")}),
    },
    "openapi_extra": {
        "requestBody": _body(SubmitJob),
        "parameters": [
            _KEY,
            documented("Prefer", _STRING, "respond-async (the default), or wait=N seconds.", where="header"),
            documented("async_mode", {"type": "boolean"}, "false: wait as long as the server allows."),
        ],
    },
}
SUBMIT_BATCH: Final[Document] = {
    "status_code": 202,
    "responses": {
        202: _answer(answers.Batch, "Accepted.", headers={"Idempotency-Replayed": _SUBMITTED["Idempotency-Replayed"]})
    },
    "openapi_extra": {"requestBody": _body(SubmitBatch), "parameters": [_KEY]},
}
RUN_JOB: Final[Document] = {
    "responses": {
        200: {
            "description": "What the job returned.",
            "content": {"application/json": {"schema": {}}},
            "headers": {name: _SUBMITTED[name] for name in _SUBMITTED if name != "ETag"},
        },
        202: _answer(answers.Job, "Not done yet.", headers={**_SUBMITTED, "Retry-After": _header("Seconds.")}),
    },
    "openapi_extra": {
        "requestBody": _body(Payload),
        "parameters": [
            _KEY,
            documented(
                "Prefer",
                _STRING,
                "wait=N seconds (default: as long as the server allows), or respond-async.",
                where="header",
            ),
            documented("async_mode", {"type": "boolean"}, "true: do not wait."),
        ],
    },
}
GET_JOB: Final[Document] = {
    "responses": {200: _answer(answers.Job, headers=_ETAG), 304: {"description": "Not changed.", "headers": _ETAG}},
    "openapi_extra": {
        "parameters": [
            _JOB_ID,
            documented("wait", _SECONDS, "Seconds to wait for it to be done or, with If-None-Match, to change."),
            documented("include", {"type": "string", "enum": ["payload"]}, "Adds the payload."),
            documented("If-None-Match", _STRING, "ETag of the state that is known already.", where="header"),
        ]
    },
}
GET_RESULT: Final[Document] = {
    "responses": {
        200: {"description": "What the job returned.", "content": {"application/json": {"schema": {}}}},
    },
}
LIST_ATTEMPTS: Final[Document] = {"responses": {200: _answer(answers.Page[answers.Attempt])}}
CANCEL_JOB: Final[Document] = {
    "status_code": 202,
    "responses": {202: _answer(answers.Job, "Cancelled, or about to stop.", headers=_ETAG)},
}
RETRY_JOB: Final[Document] = {"status_code": 202, "responses": {202: _answer(answers.Job, "Queued.", headers=_ETAG)}}
AMEND_JOB: Final[Document] = {
    "responses": {200: _answer(answers.Job, "Changed.", headers=_ETAG)},
    "openapi_extra": {
        "requestBody": _body(AmendJob),
        "parameters": [documented("If-Match", _STRING, "ETag of the state that may be changed.", where="header")],
    },
}
DELETE_JOB: Final[Document] = {"status_code": 204, "responses": {204: {"description": "Erased."}}}
LIST_JOBS: Final[Document] = {
    "responses": {
        200: _answer(answers.Page[answers.JobInList], headers={"Link": _header('The next page, as rel="next".')})
    }
}
_STREAM: Final[Document] = {"text/event-stream": {"schema": {"type": "string", "description": "Server-sent events."}}}
_LAST_EVENT_ID: Final = documented("Last-Event-ID", _STRING, "Go on after this event.", where="header")
LIST_EVENTS: Final[Document] = {
    "responses": {
        200: {**_answer(answers.Page[answers.Event]), "content": _STREAM},
        204: {"description": "The job is done, and Last-Event-ID was the last: do not come back."},
    },
    "openapi_extra": {"parameters": [_LAST_EVENT_ID]},
}
STREAM_JOBS: Final[Document] = {
    "response_class": Response,
    "responses": {200: {"description": "Events of type job, each with a job as lists show it.", "content": _STREAM}},
    "openapi_extra": {"parameters": [_LAST_EVENT_ID]},
}
LIST_JOB_TYPES: Final[Document] = {"responses": {200: _answer(answers.Page[answers.JobType])}}
GET_JOB_TYPE: Final[Document] = {"responses": {200: _answer(answers.JobType)}}
LIST_QUEUES: Final[Document] = {"responses": {200: _answer(answers.Page[answers.Queue])}}
CHANGE_QUEUE: Final[Document] = {"responses": {200: _answer(answers.Queue)}}
CONFIGURE_QUEUE: Final[Document] = {**CHANGE_QUEUE, "openapi_extra": {"requestBody": _body(ConfigureQueue)}}
LIST_WORKERS: Final[Document] = {"responses": {200: _answer(answers.Page[answers.Worker])}}
GET_STATS: Final[Document] = {"responses": {200: _answer(answers.Stats)}}
LIVE: Final[Document] = {"responses": {200: _answer(answers.Health)}}
READY: Final[Document] = {"responses": {200: _answer(answers.Health)}}
VERSION: Final[Document] = {"responses": {200: _answer(answers.Version)}}
PROBLEM: Final[Document] = {"responses": {200: _answer(answers.ProblemKind)}}
