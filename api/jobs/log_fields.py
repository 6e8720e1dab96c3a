"""What the lines of the log say about jobs: which one, and who did it from where."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from callboard.api.auth.caller import Caller
from callboard.db.models.job_view import JobView
from callboard.db.rules.new_job import NewJob


def of_row(row: JobView) -> dict[str, Any]:
    """Return the fields of a line about a stored job."""
    return {"job_id": str(row["id"]), "job_type": row["type"], "queue": row["queue"], "owner": row["owner"]}


def of_new(new: NewJob) -> dict[str, Any]:
    """Return the same of a job that has just been submitted."""
    return {"job_id": str(new.id), "job_type": new.type, "queue": new.queue, "owner": new.owner}


def of_caller(request: Request, caller: Caller) -> dict[str, Any]:
    """Return who sends the request, with which API key, from which address as the server sees it."""
    client = None if request.client is None else request.client.host
    return {"caller": caller.owner, "key_id": caller.key_id, "client": client}
