"""The client for programs on asyncio: :class:`Client` with ``await``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Self, TypeVar, Unpack, overload
from uuid import UUID

import httpx

from callboard.api.openapi.models import Job, JobInList
from callboard.client import files, transport
from callboard.client.calls import Answer, Call, Operation
from callboard.client.errors import ServerUnreachable
from callboard.client.operations import JobId, Operations, StoredFile
from callboard.client.options import Filters, NewJob, SubmitOptions
from callboard.client.retries import Retries

T = TypeVar("T")


class AsyncClient:
    """Speaks to one server from one event loop. An async context manager, which closes its connections.

    A request that gets no answer, or that the server is too busy for, is sent again for a while. Submissions carry an
    Idempotency-Key, so sent twice they still make one job.

    Every method raises :class:`Problem`, or the subclass that fits, when the server refuses,
    and :class:`ServerUnreachable` when no answer comes.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        retry_for: float = 30.0,
    ) -> None:
        """
        Args:
            url: of the server, with a path if it is mounted under one.
            api_key: sent as a bearer token.
            timeout: seconds of silence after which an answer is given up.
            retry_for: seconds that one outage may last; 0 sends every request once.

        Raises:
            ConfigurationError: ``url`` is not an http or https URL.
        """
        base = transport.base_of(url)
        self.address = transport.address_of(base)
        self._timeout = timeout
        self._http = httpx.AsyncClient(**transport.options_of(base, api_key))
        self._operations = Operations(Retries(retry_for))

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
        """Submit a job, which is durable on return.

        Args:
            job_type: such as ``table.analyze``.
            payload: a Pydantic model or anything else that has a JSON form.
            idempotency_key: the same key with the same job gives the same job, also in another process.
            options: see :class:`SubmitOptions`.
        """
        new: NewJob = {"type": job_type, "payload": payload, **options}
        return await self._run(self._operations.submit(new, key=idempotency_key))

    async def submit_batch(self, jobs: Sequence[NewJob], *, idempotency_key: str | None = None) -> list[UUID]:
        """Submit all these jobs or, if one does not fit, none. Returns their ids in order; they are durable."""
        return await self._run(self._operations.submit_batch(jobs, key=idempotency_key))

    @overload
    async def run(self, job_type: str, payload: Any, result_type: type[T], *, timeout: float | None = None) -> T: ...
    @overload
    async def run(self, job_type: str, payload: Any, *, timeout: float | None = None) -> Any: ...
    async def run(self, job_type: str, payload: Any, result_type: Any = Any, *, timeout: float | None = None) -> Any:
        """Submit a job, wait until it is done, and return its result, as a call of a function does.

        Args:
            job_type: such as ``table.analyze``.
            payload: a Pydantic model or anything else that has a JSON form.
            result_type: what the result is validated to: a Pydantic model or any other type.
            timeout: seconds to wait; None waits as long as it takes.

        Raises:
            Unsuccessful: the job failed, was cancelled or expired; ``error`` says why.
            WaitTimeout: it is not done in time. It goes on.
            pydantic.ValidationError: the result is not a ``result_type``.
        """
        return await self._run(self._operations.run(job_type, payload, result_type, key=None, timeout=timeout))

    async def get(self, job_id: JobId, *, include_payload: bool = False) -> Job:
        """Return the job as it is now."""
        return (await self._run(self._operations.get(job_id, include_payload=include_payload))).job

    async def wait(self, job_id: JobId, *, timeout: float | None = None) -> Job:
        """Return the job once it is done, whether it succeeded or not.

        Raises:
            WaitTimeout: it is not done after ``timeout`` seconds. It goes on.
        """
        return await self._run(self._operations.wait(job_id, timeout=timeout))

    async def watch(self, job_id: JobId) -> AsyncIterator[Job]:
        """Yield the job as it is, then as it is after each change, up to the state in which it is done."""
        seen = await self._run(self._operations.get(job_id))
        yield seen.job
        while not seen.job.done:
            seen = await self._run(self._operations.next_change(seen))
            yield seen.job

    @overload
    async def result(self, job_id: JobId, result_type: type[T], *, consume: bool = False) -> T: ...
    @overload
    async def result(self, job_id: JobId, *, consume: bool = False) -> Any: ...
    async def result(self, job_id: JobId, result_type: Any = Any, *, consume: bool = False) -> Any:
        """Return what a job that is done returned.

        Args:
            job_id: the job.
            result_type: what the result is validated to: a Pydantic model or any other type.
            consume: erase payload and result once they have been sent; the job itself stays.

        Raises:
            NotDone: the job has not ended; :meth:`wait` for it.
            Unsuccessful: it failed, was cancelled or expired; ``error`` says why.
            ResultErased: the result is not kept any more.
            pydantic.ValidationError: the result is not a ``result_type``.
        """
        return await self._run(self._operations.result(job_id, result_type, consume=consume))

    async def cancel(self, job_id: JobId) -> Job:
        """Ask a job to stop. One that waits is cancelled on return, one that runs is about to stop.

        Raises:
            Conflict: it is done already.
        """
        return await self._run(self._operations.cancel(job_id))

    async def retry(self, job_id: JobId) -> Job:
        """Queue a job again that failed, was cancelled or expired.

        Raises:
            Conflict: it is in another state.
        """
        return await self._run(self._operations.retry(job_id))

    async def delete(self, job_id: JobId) -> None:
        """Erase payload, result and errors of a job that is done; it is gone from lists.

        Raises:
            Conflict: it is not done.
        """
        await self._run(self._operations.delete(job_id))

    async def jobs(self, **filters: Unpack[Filters]) -> AsyncIterator[JobInList]:
        """Yield jobs, newest first, without payloads and results; pages are fetched as they are needed."""
        parameters = self._operations.filters(filters)
        token = None
        while True:
            page = await self._run(self._operations.page(parameters, token))
            for item in page.items:
                yield item
            token = page.next_page_token
            if token is None:
                return

    # --- files --------------------------------------------------------------------------------------------------

    async def upload(
        self, source: files.Source, *, name: str | None = None, media_type: str | None = None
    ) -> StoredFile:
        """Store a file, streamed. A payload names it as ``{"file": stored.id}``.

        Raises:
            OSError: ``source`` cannot be read.
        """
        with files.reading(source, name, media_type) as upload:
            return await self._run(self._operations.upload(upload))

    async def download(self, file_id: UUID | str, target: files.Target) -> None:
        """Fetch a file, streamed. Under a path it appears when it is complete; an open file is written from its start.

        Raises:
            OSError: ``target`` cannot be written.
        """
        with files.writing(target) as sink:
            await self._run(self._operations.download(file_id, sink))

    # --- how ------------------------------------------------------------------------------------------------------

    async def _run(self, operation: Operation[T]) -> T:
        try:
            call = next(operation)
            while True:
                await asyncio.sleep(call.pause)
                try:
                    answer = await self._send(call)
                except ServerUnreachable as error:
                    call = operation.throw(error)
                else:
                    call = operation.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _send(self, call: Call) -> Answer:
        arguments = transport.arguments_of(call, self._timeout)
        with transport.unreachable(self.address):
            async with self._http.stream(**arguments) as response:
                if call.sink is None or not response.is_success:
                    return transport.answer_of(response, await response.aread())
                async for chunk in response.aiter_bytes():
                    call.sink.write(chunk)
                return transport.answer_of(response, b"")
