"""Rows of the database as the JSON of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson
from fastapi import Response
from sqlalchemy import RowMapping

from callboard.api.wire.times import rfc3339
from callboard.db.attempt.progress import percent
from callboard.db.models.job_view import JobView
from callboard.db.reads.timeline import Event
from callboard.db.rules.event_position import EventPosition
from callboard.db.rules.states import TERMINAL, Status

_LATER: Final = frozenset({Status.SCHEDULED, Status.RETRYING})

Json = dict[str, Any]


class JsonResponse(Response):
    """JSON that is already encoded. Made at every submission and poll, so it does only what these need."""

    def __init__(self, body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.body = body
        self.status_code = status
        self.background = None
        self.raw_headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        if headers is not None:
            self.raw_headers += [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def respond(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> JsonResponse:
    """Return the response with ``content`` as JSON."""
    return JsonResponse(orjson.dumps(content), status, headers)


def page(items: Sequence[object], next_page_token: str | None = None) -> Json:
    """Return a list as every list of the API looks."""
    return {"items": items, "next_page_token": next_page_token}


def job(row: JobView, *, estimate: Mapping[str, float] | None) -> Json:
    """Return a job, from a row of ``callboard.db.models.job_view``; ready for orjson, not for anything else.

    Args:
        row: the job.
        estimate: when it is likely to start and to be done.
    """
    return _job(row) | {"result": json_text(row["result"]), "estimate": estimate}


def job_in_list(row: JobView) -> Json:
    """Return a job as lists show it, without its result and estimate; see :func:`job`."""
    shown = _job(row)
    del shown["result"]
    return shown


def _job(row: JobView) -> Json:
    status = row["status"]
    return {
        "id": row["id"],
        "type": row["type"],
        "queue": row["queue"],
        "status": status,
        "done": status in TERMINAL,
        "priority": row["priority"],
        "owner": row["owner"],
        "tags": row["tags"],
        "progress": json_text(row["progress"]),
        "result": None,
        "error": json_text(row["error"]),
        "attempt": row["attempt"],
        "max_retries": row["max_retries"],
        "time_limit": row["time_limit"],
        "created_at": rfc3339(row["created_at"]),
        "scheduled_at": rfc3339(row["scheduled_at"]),
        "started_at": rfc3339(row["started_at"]),
        "finished_at": rfc3339(row["finished_at"]),
        "expires_at": rfc3339(row["expires_at"]),
        "next_attempt_at": rfc3339(row["due_at"]) if status in _LATER else None,
        "cancel_requested_at": rfc3339(row["cancel_requested_at"]),
        "parent_id": row["parent_id"],
        "worker": row["worker"],
        "links": links(row["id"]),
        "result_ttl": row["result_ttl"],
        "waiting_for": json_text(row["waiting_for"]),
    }


def json_text(text: str | None) -> orjson.Fragment | None:
    """Return JSON that is passed on as PostgreSQL wrote it."""
    return None if text is None else orjson.Fragment(text)


def links(job_id: UUID) -> dict[str, str]:
    """Return where a job and what belongs to it are."""
    itself = f"/v1/jobs/{job_id}"
    return {
        "self": itself,
        "result": f"{itself}/result",
        "events": f"{itself}/events",
        "attempts": f"{itself}/attempts",
        "cancel": f"{itself}/cancel",
    }


def attempt(row: RowMapping, *, traceback: bool) -> Json:
    """Return an attempt, from a row of ``job_attempts``. ``traceback``: operators see it."""
    reason = row["reason"]
    error = {"reason": reason, "type": row["error_type"], "message": row["error_message"], "attempt": row["attempt"]}
    shown = {
        "attempt": row["attempt"],
        "outcome": row["outcome"],
        "worker": row["worker"],
        "started_at": rfc3339(row["started_at"]),
        "finished_at": rfc3339(row["finished_at"]),
        "error": None if reason is None else error,
    }
    if traceback:
        shown["traceback"] = row["traceback"]
    return shown


def output(row: RowMapping) -> Json:
    """Return a file that a job put out, from a row of ``callboard.db.files.outputs``."""
    return {
        "id": row["id"],
        "name": row["name"],
        "size": row["size"],
        "sha256": row["sha256"].hex(),
        "media_type": row["media_type"],
        "created_at": rfc3339(row["created_at"]),
        "attempt": row["attempt"],
    }


def event(happened: Event, position: EventPosition) -> Json:
    """Return an event of a job; ``position``: of its reader after it."""
    return {
        "id": str(position),
        "type": happened.kind,
        "at": rfc3339(happened.at),
        "attempt": happened.attempt,
        "worker": happened.worker,
        "progress": _reported(happened),
        "error": json_text(happened.error),
        "next_attempt_at": rfc3339(happened.next_attempt_at),
        "status": happened.status,
        "waiting_for": json_text(happened.waiting_for),
    }


def _reported(happened: Event) -> Json | None:
    if happened.current is None:
        return None
    return {
        "percent": percent(happened.current, happened.total),
        "current": happened.current,
        "total": happened.total,
        "step": happened.step,
        "message": happened.message,
        "updated_at": rfc3339(happened.at),
    }


def queue(row: RowMapping) -> Json:
    """Return a queue, from a row of ``callboard.db.dispatching.queues.list_queues``."""
    age = row["oldest_waiting_age"]
    return {
        "name": row["name"],
        "waiting": row["waiting"],
        "running": row["running"],
        "oldest_waiting_age": None if age is None else round(max(0.0, float(age)), 3),
        "throughput": row["throughput"],
        "paused": row["paused"],
        "limits": {
            "dispatch_window": row["dispatch_window"],
            "concurrency_limit": row["concurrency_limit"],
            "rate_limit": row["rate_limit"],
            "rate_period": row["rate_period"],
        },
    }


def worker(row: RowMapping) -> Json:
    """Return a worker process, from a row of ``callboard.db.fleet.workers.list_workers``."""
    plain = ("id", "name", "state", "host", "pid", "version", "queues", "threads")
    return {
        **{name: row[name] for name in plain},
        "running": len(row["jobs"]),
        "jobs": row["jobs"],
        "started_at": rfc3339(row["started_at"]),
        "last_seen_at": rfc3339(row["last_seen_at"]),
    }
