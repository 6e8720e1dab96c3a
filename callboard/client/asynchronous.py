"""The client for programs on asyncio: :class:`Client` with ``await``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar, Unpack, overload
from uuid import UUID

import httpx

from callboard.api.openapi.history_operations import FailureGroups, HistorySummary
from callboard.api.openapi.models import Attempt, JobInList, JobType, Page, Queue, UploadedFile, Worker
from callboard.client import files, transport
from callboard.client.errors import ServerUnreachable
from callboard.client.messages import Operation, Request, Response
from callboard.client.models import Job
from callboard.client.operations import LONG_POLL, JobId, Operations
from callboard.client.options import ExportOptions, FailureOptions, ListOptions, NewJob, SubmitOptions, SummaryOptions
from callboard.client.retries import OnOutage, Retries

T = TypeVar("T")


class AsyncClient:
    """Sends requests to one server, from one event loop. An async context manager, which closes its connections.

    The methods have the arguments, the results and the errors of those of :class:`Client`.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        retry_for: float = 30.0,
        on_outage: OnOutage | None = None,
        long_poll: float = LONG_POLL,
    ) -> None:
        """Take the arguments of :class:`Client`."""
        base = transport.base_of(url)
        self.address = transport.address_of(base)
        """The server's URL, without a password."""
        self._timeout = timeout
        self._http = httpx.AsyncClient(**transport.options_of(base, api_key))
        self._operations = Operations(Retries(retry_for, on_outage), long_poll)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    # --- jobs ---------------------------------------------------------------------------------------------------

    async def submit(
        self, job_type: str, payload: Any, *, idempotency_key: str | None = None, **options: Unpack[SubmitOptions]
    ) -> Job:
        """Submit a job, which is durable on return."""
        new: NewJob = {"type": job_type, "payload": payload, **options}
        return await self._run(self._operations.submit(new, key=idempotency_key))

    async def submit_batch(self, jobs: Sequence[NewJob], *, idempotency_key: str | None = None) -> list[UUID]:
        """Submit all these jobs or, if one does not fit, none. Returns their ids in order; the jobs are durable."""
        return await self._run(self._operations.submit_batch(jobs, key=idempotency_key))

    @overload
    async def run(self, job_type: str, payload: Any, result_type: type[T], *, timeout: float | None = None) -> T: ...
    @overload
    async def run(self, job_type: str, payload: Any, *, timeout: float | None = None) -> Any: ...
    async def run(self, job_type: str, payload: Any, result_type: Any = Any, *, timeout: float | None = None) -> Any:
        """Submit a job, wait until it is done, and return its result, like a function call."""
        return await self._run(self._operations.run(job_type, payload, result_type, key=None, timeout=timeout))

    async def get(self, job_id: JobId, *, include_payload: bool = False) -> Job:
        """Return the job as it is now."""
        return await self._run(self._operations.get(job_id, include_payload=include_payload))

    async def wait(self, job_id: JobId, *, timeout: float | None = None) -> Job:
        """Return the job once it is done, whether it succeeded or not."""
        return await self._run(self._operations.wait(job_id, timeout=timeout))

    async def watch(
        self, job: JobId | Job, *, retry_for: float | None = None, on_outage: OnOutage | None = None
    ) -> AsyncIterator[Job]:
        """Yield the job as it is, then after each change, up to the state in which it is done."""
        operations = self._operations.with_retries(retry_for, on_outage)
        seen = job if isinstance(job, Job) else await self._run(operations.get(job))
        yield seen
        while not seen.done:
            seen = await self._run(operations.next_change(seen))
            yield seen

    @overload
    async def result(self, job_id: JobId, result_type: type[T], *, consume: bool = False) -> T: ...
    @overload
    async def result(self, job_id: JobId, *, consume: bool = False) -> Any: ...
    async def result(self, job_id: JobId, result_type: Any = Any, *, consume: bool = False) -> Any:
        """Return the result of a job that is done."""
        return await self._run(self._operations.result(job_id, result_type, consume=consume))

    async def attempts(self, job_id: JobId) -> list[Attempt]:
        """Return the job's attempts that have ended, oldest first."""
        return await self._run(self._operations.attempts(job_id))

    async def cancel(self, job_id: JobId) -> Job:
        """Ask a job to stop. A job that waits is cancelled on return, a job that runs is about to stop."""
        return await self._run(self._operations.cancel(job_id))

    async def retry(self, job_id: JobId) -> Job:
        """Queue a job again that failed, was cancelled or expired."""
        return await self._run(self._operations.retry(job_id))

    async def delete(self, job_id: JobId) -> None:
        """Erase payload, result and errors of a job that is done; lists no longer show it."""
        await self._run(self._operations.delete(job_id))

    async def jobs(self, **options: Unpack[ListOptions]) -> AsyncIterator[JobInList]:
        """Yield jobs, newest first, without payloads and results. Pages are fetched as they are needed."""
        token = None
        while True:
            page = await self.jobs_page(page_token=token, **options)
            for item in page.items:
                yield item
            token = page.next_page_token
            if token is None:
                return

    async def jobs_page(self, *, page_token: str | None = None, **options: Unpack[ListOptions]) -> Page[JobInList]:
        """Return one page of :meth:`jobs`; with ``page_token``, the page that ``next_page_token`` announced."""
        return await self._run(self._operations.jobs_page(options, page_token))

    # --- files --------------------------------------------------------------------------------------------------

    async def upload(
        self, source: files.Source, *, name: str | None = None, media_type: str | None = None
    ) -> UploadedFile:
        """Store a file, streamed. A payload names it as ``{"file": uploaded.id}``."""
        with files.reading(source, name, media_type) as upload:
            return await self._run(self._operations.upload(upload))

    async def download(self, file_id: UUID | str, target: files.Target) -> None:
        """Write a stored file, streamed."""
        with files.writing(target) as file:
            await self._run(self._operations.download(file_id, file))

    async def delete_file(self, file_id: UUID | str) -> None:
        """Remove a stored file. A job whose payload names it fails from then on.

        Raises:
            NotFound: there is no such file, or it is somebody else's.
        """
        await self._run(self._operations.delete_file(file_id))

    # --- the system ---------------------------------------------------------------------------------------------

    async def job_types(self) -> list[JobType]:
        """Return all job types with their defaults and schemas."""
        return await self._run(self._operations.job_types())

    async def job_type(self, name: str) -> JobType:
        """Return a job type with its defaults and the JSON Schemas of its payload and result."""
        return await self._run(self._operations.job_type(name))

    async def queues(self) -> list[Queue]:
        """Return all queues with what waits and runs in them."""
        return await self._run(self._operations.queues())

    async def workers(self) -> list[Worker]:
        """Return the worker processes that the caller may see."""
        return await self._run(self._operations.workers())

    async def check_ready(self) -> None:
        """Return if the server is ready to serve."""
        await self._run(self._operations.check_ready())

    # --- history ------------------------------------------------------------------------------------------------

    async def summarise_history(self, **options: Unpack[SummaryOptions]) -> HistorySummary:
        """Count and measure finished jobs, by period and group; see :class:`SummaryOptions`."""
        return await self._run(self._operations.summarise_history(options))

    async def failures(self, **options: Unpack[FailureOptions]) -> FailureGroups:
        """Group failed jobs by type and error, the largest groups first; see :class:`FailureOptions`."""
        return await self._run(self._operations.failures(options))

    async def export_history(self, target: str | Path | files.Writer, **options: Unpack[ExportOptions]) -> None:
        """Write finished jobs, streamed, oldest first."""
        with files.writing(target) as writer:
            await self._run(self._operations.export_history(writer, options))

    # --- transport ------------------------------------------------------------------------------------------------

    async def _run(self, operation: Operation[T]) -> T:
        try:
            request = next(operation)
            while True:
                await asyncio.sleep(request.pause)
                try:
                    response = await self._send(request)
                except ServerUnreachable as error:
                    request = operation.throw(error)
                else:
                    request = operation.send(response)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _send(self, request: Request) -> Response:
        arguments = transport.arguments_of(request, self._timeout)
        with transport.unreachable(self.address):
            async with self._http.stream(**arguments) as received:
                head = transport.response_of(received, self.address)
                sink = transport.sink_for(request, head)
                if sink is None:
                    return transport.response_of(received, self.address, await received.aread())
                async for chunk in received.aiter_bytes():
                    sink.write(chunk)
                return head
