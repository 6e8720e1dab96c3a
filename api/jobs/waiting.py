"""Requests that wait for a job."""

from __future__ import annotations

from uuid import UUID

from fastapi import Request

from callboard.api.auth.caller import current_caller
from callboard.api.services import Services
from callboard.api.wire.etags import entity_tag, matches
from callboard.db.models.job_view import JobView
from callboard.db.reads.jobs import JobState
from callboard.db.rules.states import TERMINAL


async def wait_until_done(services: Services, job_id: UUID, *, seconds: float, request: Request) -> JobView:
    """Return the job when it is done, or as it is after ``seconds``.

    Raises:
        Unauthenticated: by then the caller's key or token is not valid any more.
        Forbidden: it names no role any more.
        NotFound: the job has been deleted.
        ClientDisconnect: the client has closed the connection.
        Unavailable: the database did not answer.
    """
    await services.waiters.until(job_id, _is_done, seconds=seconds, request=request)
    return await services.reads.job(job_id, await current_caller(request))


async def wait_until_changed(
    services: Services, job_id: UUID, *, seen: str, seconds: float, request: Request
) -> JobView:
    """Return the job when it is done or has another entity tag than ``seen``, or as it is after ``seconds``.

    Args:
        services: of the application.
        job_id: the job.
        seen: an If-None-Match header.
        seconds: longest wait.
        request: the wait ends with its connection.

    Raises:
        Unauthenticated: by then the caller's key or token is not valid any more.
        Forbidden: it names no role any more.
        NotFound: the job has been deleted.
        ClientDisconnect: the client has closed the connection.
        Unavailable: the database did not answer.
    """

    def changed(state: JobState | None) -> bool:
        return state is None or _is_done(state) or not matches(seen, entity_tag(state.revision, state.status))

    await services.waiters.until(job_id, changed, seconds=seconds, request=request)
    return await services.reads.job(job_id, await current_caller(request))


def _is_done(state: JobState | None) -> bool:
    return state is None or state.status in TERMINAL
