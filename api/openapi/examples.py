"""Examples of what is sent and answered, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Example = dict[str, Any]

_JOB_ID: Final = "019aa1f0-5c1e-7d3a-9f41-2b7c8e0d4a65"
_FILE_ID: Final = "019aa1ee-03b2-7f10-8c55-61d2a9e4b7c3"
ETAG: Final = '"7-running"'
FILE_ETAG: Final = '"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"'
_PAGE_TOKEN: Final = "AZqh8FwefTqfQSt8jg1KZbIMfXg"  # noqa: S105 - gives access to nothing
EVENT_ID: Final = "1.3.9.0"
MOMENT: Final = "1764579600000-7412:7419:7415"

_PAYLOAD: Final[Example] = {"file": _FILE_ID, "sheets": ["Q3"]}
_SUBMISSION: Final[Example] = {
    "type": "spreadsheet.extract",
    "payload": _PAYLOAD,
    "priority": 5,
    "tags": {"case": "123"},
    "unique_key": "case-123",
}
_BATCH: Final[Example] = {
    "jobs": [
        {"type": "spreadsheet.extract", "payload": _PAYLOAD},
        {"type": "spreadsheet.extract", "payload": {"file": _FILE_ID, "sheets": ["Q4"]}, "delay": 60},
    ]
}
_AMENDMENT: Final[Example] = {"priority": 9, "expires_at": "2026-12-01T18:00:00.000Z"}
_BULK: Final[Example] = {
    "action": "cancel",
    "filter": {"type": "spreadsheet.extract", "created_before": "2026-12-01T18:00:00.000Z"},
}
_TICKET: Final = "cbs_WzE3NjQ1Nzk2NjAsImJpbGxpbmciLCJjbGllbnQiLG51bGxd.o8U2"
_STREAM_TICKET: Final[Example] = {
    "ticket": _TICKET,
    "expires_at": "2026-12-01T09:01:00.000Z",
}
_QUEUE_CHANGE: Final[Example] = {"dispatch_window": None, "concurrency_limit": 4}

_ITSELF: Final = f"/v1/jobs/{_JOB_ID}"
_WORKER_NAME: Final = "host-1.4711"
_PROGRESS: Final[Example] = {
    "percent": 45.0,
    "current": 9,
    "total": 20,
    "step": "Q3",
    "message": "Reading sheet Q3",
    "updated_at": "2026-12-01T09:00:04.250Z",
}
_ERROR: Final[Example] = {
    "reason": "exception",
    "type": "ValueError",
    "message": "sheet Q3 has no header",
    "attempt": 1,
}
_JOB_IN_LIST: Final[Example] = {
    "id": _JOB_ID,
    "type": "spreadsheet.extract",
    "queue": "spreadsheets",
    "status": "running",
    "done": False,
    "priority": 5,
    "owner": "billing",
    "tags": {"case": "123"},
    "progress": _PROGRESS,
    "error": None,
    "attempt": 1,
    "max_retries": 3,
    "time_limit": 600.0,
    "created_at": "2026-12-01T09:00:00.000Z",
    "scheduled_at": None,
    "started_at": "2026-12-01T09:00:00.012Z",
    "finished_at": None,
    "expires_at": None,
    "next_attempt_at": None,
    "cancel_requested_at": None,
    "parent_id": None,
    "worker": _WORKER_NAME,
    "links": {
        "self": _ITSELF,
        "result": f"{_ITSELF}/result",
        "events": f"{_ITSELF}/events",
        "attempts": f"{_ITSELF}/attempts",
        "cancel": f"{_ITSELF}/cancel",
    },
    "result_ttl": None,
    "waiting_for": None,
}
_JOB: Final[Example] = {
    **_JOB_IN_LIST,
    "estimate": {"starts_in": 0.0, "finishes_in": 5.2},
    "result": None,
}
RESULT: Final[Example] = {"rows": 1804, "sheets": ["Q3"]}
_IDS: Final[Example] = {"ids": [_JOB_ID, "019aa1f0-5c1e-7d3a-9f41-2b7c8e0d4a66"]}
_ATTEMPT: Final[Example] = {
    "attempt": 1,
    "outcome": "failed",
    "worker": _WORKER_NAME,
    "started_at": "2026-12-01T09:00:00.012Z",
    "finished_at": "2026-12-01T09:00:04.900Z",
    "error": _ERROR,
    "traceback": "Traceback (most recent call last): …",
}
_EVENT: Final[Example] = {
    "id": EVENT_ID,
    "type": "progress",
    "at": "2026-12-01T09:00:04.250Z",
    "attempt": 1,
    "worker": _WORKER_NAME,
    "progress": _PROGRESS,
    "error": None,
    "next_attempt_at": None,
    "status": None,
    "waiting_for": None,
}
_JOB_TYPE: Final[Example] = {
    "name": "spreadsheet.extract",
    "queue": "spreadsheets",
    "description": "Read sheets of a spreadsheet.",
    "defaults": {"priority": 5, "max_retries": 3, "time_limit": 600.0, "min_backoff": 15.0, "max_backoff": 604800.0},
    "bounds": {
        "priority": {"minimum": 0, "maximum": 9},
        "max_retries": {"minimum": 0, "maximum": 10},
        "time_limit": {"exclusive_minimum": 0, "maximum": 3600},
    },
    "payload_schema": {"type": "object", "properties": {"file": {"type": "string", "format": "uuid"}}},
    "result_schema": {"type": "object"},
    "example": _PAYLOAD,
}
_QUEUE: Final[Example] = {
    "name": "spreadsheets",
    "waiting": 12,
    "running": 4,
    "oldest_waiting_age": 3.25,
    "throughput": 41,
    "paused": False,
    "limits": {"dispatch_window": None, "concurrency_limit": 4, "rate_limit": None, "rate_period": None},
}
_WORKER: Final[Example] = {
    "id": "019aa1c9-7a10-7b02-8d11-9c3e5f60a1b2",
    "name": _WORKER_NAME,
    "state": "running",
    "host": "host-1",
    "pid": 4711,
    "version": "0.1.0",
    "queues": ["spreadsheets"],
    "threads": 8,
    "running": 1,
    "jobs": [_JOB_ID],
    "started_at": "2026-12-01T08:00:00.000Z",
    "last_seen_at": "2026-12-01T09:00:03.000Z",
}
_OUTCOMES: Final[Example] = {"succeeded": 10, "failed": 1, "cancelled": 1, "expired": 0}
_STATS: Final[Example] = {
    "at": "2026-12-01T09:00:04.000Z",
    "live": 1,
    "by_status": {"blocked": 0, "scheduled": 0, "queued": 0, "running": 1, "retrying": 0},
    "by_type": {"spreadsheet.extract": 1},
    "by_queue": {"spreadsheets": 1},
    "items": [{"status": "running", "type": "spreadsheet.extract", "queue": "spreadsheets", "jobs": 1}],
    "finished": {
        "from": "2026-11-30T09:00:00.000Z",
        "to": "2026-12-01T10:00:00.000Z",
        "jobs": 12,
        "by_status": _OUTCOMES,
        "by_type": {"spreadsheet.extract": _OUTCOMES},
    },
}
_WORKER_STATUS: Final[Example] = {
    "at": "2026-12-01T09:00:04.000Z",
    "alive": True,
    "workers": 1,
    "threads": 8,
    "items": [{"queue": "spreadsheets", "workers": 1, "threads": 8, "paused": False}],
}
_VERSION: Final[Example] = {"name": "callboard", "version": "0.1.0", "api": "v1", "python": "3.11.9"}
_PROBLEM_KIND: Final[Example] = {
    "type": "/problems/not-done",
    "code": "not-done",
    "status": 409,
    "title": "Not done yet",
    "explanation": "The job has no result yet.",
}
_FILE: Final[Example] = {
    "id": _FILE_ID,
    "name": "quarter.xlsx",
    "size": 48213,
    "sha256": FILE_ETAG.strip('"'),
    "media_type": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
EVENT_STREAM: Final = (
    ":\n\n"
    f"retry: 2000\nid: {EVENT_ID}\nevent: progress\n"
    f'data: {{"id":"{EVENT_ID}","type":"progress","at":"2026-12-01T09:00:04.250Z","attempt":1,'
    '"worker":"host-1.4711","progress":{"percent":45.0},"error":null,"next_attempt_at":null,'
    '"status":null,"waiting_for":null}\n\n'
    ":\n\n"
)
JOB_STREAM: Final = (
    f':\n\nretry: 2000\nid: {MOMENT}\nevent: job\ndata: {{"id":"{_JOB_ID}","status":"running","done":false}}\n\n'
)


METRICS: Final = """\
# HELP callboard_jobs Live jobs.
# TYPE callboard_jobs gauge
callboard_jobs{queue="spreadsheets",status="running",type="spreadsheet.extract"} 3.0
"""


def _page(item: Example, next_page_token: str | None = None) -> Example:
    return {"items": [item], "next_page_token": next_page_token}


_OUTPUT_FILE: Final[Example] = {**_FILE, "created_at": "2026-12-01T09:00:08.100Z", "attempt": 1}

#: By the names of schemas in the document.
OF_SCHEMAS: Final[Mapping[str, Example]] = {
    "SubmitJob": _SUBMISSION,
    "SubmitBatch": _BATCH,
    "AmendJob": _AMENDMENT,
    "BulkJobs": _BULK,
    "ConfigureQueue": _QUEUE_CHANGE,
    "MakeStreamTicket": {"url": "/v1/jobs/stream?type=spreadsheet.extract"},
    "StreamTicket": _STREAM_TICKET,
    "Payload": _PAYLOAD,
    "Job": _JOB,
    "Batch": _IDS,
    "JobPage": _page(_JOB_IN_LIST, _PAGE_TOKEN),
    "Page_Attempt_": _page(_ATTEMPT),
    "Page_OutputFile_": _page(_OUTPUT_FILE),
    "Page_Event_": _page(_EVENT, EVENT_ID),
    "JobType": _JOB_TYPE,
    "Page_JobType_": _page(_JOB_TYPE),
    "Queue": _QUEUE,
    "Page_Queue_": _page(_QUEUE),
    "Page_Worker_": _page(_WORKER),
    "WorkerStatus": _WORKER_STATUS,
    "Stats": _STATS,
    "UploadedFile": _FILE,
    "Index": {"name": "callboard", "version": "0.1.0", "links": {"docs": "/docs", "openapi": "/openapi.json"}},
    "Health": {"status": "ready"},
    "Version": _VERSION,
    "ProblemKind": _PROBLEM_KIND,
}
