"""The forms that API.md gives to values."""

from __future__ import annotations

import re
from typing import Any, Final
from uuid import UUID

import httpx

JOB_FIELDS: Final = [
    "id", "type", "queue", "status", "done", "priority", "owner", "tags", "progress", "result", "error", "attempt",
    "max_retries", "time_limit", "created_at", "scheduled_at", "started_at", "finished_at", "expires_at",
    "next_attempt_at", "cancel_requested_at", "parent_id", "worker", "links", "result_ttl", "waiting_for",
    "estimate",
]  # fmt: skip
PROGRESS_FIELDS: Final = {"percent", "current", "total", "step", "message", "updated_at"}
TIMES: Final = (
    "created_at", "scheduled_at", "started_at", "finished_at", "expires_at", "next_attempt_at", "cancel_requested_at",
)  # fmt: skip
TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def is_time(text: Any) -> bool:
    """Whether it is an RFC 3339 time in UTC with milliseconds."""
    return isinstance(text, str) and TIME.fullmatch(text) is not None


def is_job_id(text: Any) -> bool:
    """Whether it is a UUID of version 7, as text."""
    return isinstance(text, str) and str(UUID(text)) == text and UUID(text).version == 7


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Return the problem that the answer must be."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert list(body)[:6] == ["type", "title", "status", "detail", "instance", "code"]
    assert (body["status"], body["code"], body["type"]) == (status, code, f"/problems/{code}")
    assert body["instance"] == answer.url.path
    assert body["title"]
    assert body["detail"]
    return body


def pointers(body: dict[str, Any]) -> list[str]:
    """Return where a problem says that the input does not fit."""
    assert all(list(error) == ["detail", "pointer"] for error in body["errors"])
    return [error["pointer"] for error in body["errors"]]
