"""Gathers what a scenario left behind, from the database, the API, and the ledger."""

from __future__ import annotations

import time
from typing import Any, Final
from uuid import UUID

import httpx

from tests.faults import ledger
from tests.faults.checker import Accepted, AttemptRow, Evidence, JobRow
from tests.faults.deployment import Deployment
from tests.faults.load import Told
from tests.faults.mix import Kind

_LOOK_EVERY: Final = 0.2
_OF_ROW: Final = (
    "id, status, attempt, (payload->>'number')::bigint AS number, (progress->>'current')::float AS progress, "
    "extract(epoch FROM scheduled_at)::float AS scheduled_at"
)
# By when they ended: the time in an id is that of whoever made it, see ``on_clock``.
_ENDED_SINCE: Final = "finished_at >= to_timestamp(%s) AND created_at > now() - interval '1 day'"


def wait_until_none_live(deployment: Deployment, timeout: float) -> None:
    """Wait until all jobs are done, at most ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while deployment.rows("SELECT FROM jobs LIMIT 1") and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY)


def gather(deployment: Deployment, told: Told, *, began: float, fault_ended: float) -> Evidence:
    """Return all that is known of the jobs that were made since ``began`` (seconds since the epoch)."""
    live = deployment.rows(f"SELECT {_OF_ROW} FROM jobs WHERE type LIKE 'faults.%'")
    history = deployment.rows(
        f"SELECT {_OF_ROW}, (result->>'attempt')::int AS result_attempt FROM job_history "
        f"WHERE type LIKE 'faults.%%' AND {_ENDED_SINCE}",
        began,
    )
    attempts = deployment.rows(
        "SELECT job_id, attempt, outcome, reason, extract(epoch FROM finished_at)::float AS finished_at "
        f"FROM job_attempts WHERE {_ENDED_SINCE}",
        began,
    )
    accepted = list(told.accepted)
    kinds = {each.job_id: each.spec.kind for each in accepted}
    lines = [line for line in ledger.read(deployment.ledger) if line.job_id in kinds]
    by_poison = {line.pid: line.at for line in lines if kinds[line.job_id] is Kind.POISON}
    return Evidence(
        accepted=accepted,
        live=[JobRow(**row) for row in live],
        history=[JobRow(**row) for row in history],
        attempts=[AttemptRow(**row) for row in attempts],
        ledger=lines,
        answers=_answers(deployment.urls[0], accepted, began),
        seen=list(told.seen),
        deaths={**by_poison, **deployment.deaths},
        fault_ended=fault_ended,
    )


def _answers(url: str, accepted: list[Accepted], began: float) -> dict[UUID, str | None]:
    """Ask the API for all jobs, in pages, and for each accepted one that is not on them."""
    found: dict[UUID, str] = {}
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began))
    with httpx.Client(base_url=url, timeout=20) as client:
        parameters: dict[str, Any] = {"page_size": 500, "created_after": since}
        while True:
            page = client.get("/v1/jobs", params=parameters).raise_for_status().json()
            found.update((UUID(item["id"]), item["status"]) for item in page["items"])
            if page["next_page_token"] is None:
                break
            parameters["page_token"] = page["next_page_token"]
        answers: dict[UUID, str | None] = {}
        for each in accepted:
            answers[each.job_id] = found.get(each.job_id)
            if answers[each.job_id] is None:
                answer = client.get(f"/v1/jobs/{each.job_id}")
                answers[each.job_id] = answer.json()["status"] if answer.is_success else None
    return answers
