"""Requests that wait for a job."""

from __future__ import annotations

from uuid import UUID

from fastapi import Request

from callboard.api.auth.caller import Caller
from callboard.api.services import Services
from callboard.api.wire.etags import entity_tag, matches
from callboard.db.models.job_view import JobView
from callboard.db.reads.jobs import JobState
from callboard.db.rules.states import TERMINAL


async def wait_until_done(
    services: Services, caller: Caller, job_id: UUID, *, seconds: float, request: Request
) -> JobView:
    """Return the job when it is done, or as it is after ``seconds``.

    Raises:
        NotFound: the job has been deleted.
        ClientDisconnect: the client has closed the connection.
        Unavailable: the database did not answer.
    """
    await services.waiters.until(job_id, _is_done, seconds=seconds, request=request)
    return await services.reads.job(job_id, caller)


async def wait_until_changed(
    services: Services, caller: Caller, job_id: UUID, *, seen: str, seconds: float, request: Request
) -> JobView:
    """Return the job when it is done or has another entity tag than ``seen``, or as it is after ``seconds``.

    Args:
        services: of the application.
        caller: of the request.
        job_id: the job.
        seen: an If-None-Match header.
        seconds: longest wait.
        request: the wait ends with its connection.

    Raises:
        NotFound: the job has been deleted.
        ClientDisconnect: the client has closed the connection.
        Unavailable: the database did not answer.
    """

    def changed(state: JobState | None) -> bool:
        return state is None or _is_done(state) or not matches(seen, entity_tag(state.revision, state.status))

    await services.waiters.until(job_id, changed, seconds=seconds, request=request)
    return await services.reads.job(job_id, caller)


def _is_done(state: JobState | None) -> bool:
    return state is None or state.status in TERMINAL
