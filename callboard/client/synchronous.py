"""The client for ordinary programs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
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


class Client:
    """Sends requests to one server; threads may share it. A context manager, which closes its connections.

    A request is sent again for a while if no response arrives, or if the server is unavailable or overloaded.
    A submission carries an Idempotency-Key, so it makes one job even if it is sent twice.

    Every method raises :class:`Problem`, or the subclass that fits, when the server refuses,
    and :class:`ServerUnreachable` when no response arrives.
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
        """
        Args:
            url: of the server, with a path if it is mounted under one.
            api_key: sent as a bearer token.
            timeout: seconds of silence after which a request fails.
            retry_for: seconds that one outage may last; 0 sends every request once.
            on_outage: called with the error once for each outage, before the first retry. An exception that it raises
                ends the retries, and is what the caller gets.
            long_poll: seconds, up to 60, that one request waits for a job; less than what a proxy in between allows.

        Raises:
            ConfigurationError: ``url`` is not an http or https URL, or ``api_key`` cannot be sent in a header.
        """
        base = transport.base_of(url)
        self.address = transport.address_of(base)
        """The server's URL, without a password."""
        self._timeout = timeout
        self._http = httpx.Client(**transport.options_of(base, api_key))
        self._operations = Operations(Retries(retry_for, on_outage), long_poll)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    # --- jobs ---------------------------------------------------------------------------------------------------

    def submit(
        self, job_type: str, payload: Any, *, idempotency_key: str | None = None, **options: Unpack[SubmitOptions]
    ) -> Job:
        """Submit a job, which is durable on return.

        Args:
            job_type: such as ``table.analyze``.
            payload: a Pydantic model or anything else that has a JSON form.
            idempotency_key: 1 to 255 visible ASCII characters. The same key with the same job returns the same job,
                in another process, too. Default: a new key.
            options: see :class:`SubmitOptions`.

        Raises:
            ValueError: ``payload`` has no JSON form, a time has no time zone, or the key has other characters.
        """
        new: NewJob = {"type": job_type, "payload": payload, **options}
        return self._run(self._operations.submit(new, key=idempotency_key))

    def submit_batch(self, jobs: Sequence[NewJob], *, idempotency_key: str | None = None) -> list[UUID]:
        """Submit all these jobs or, if one does not fit, none. Returns their ids in order; the jobs are durable.

        Raises:
            ValueError: as :meth:`submit`.
        """
        return self._run(self._operations.submit_batch(jobs, key=idempotency_key))

    @overload
    def run(self, job_type: str, payload: Any, result_type: type[T], *, timeout: float | None = None) -> T: ...
    @overload
    def run(self, job_type: str, payload: Any, *, timeout: float | None = None) -> Any: ...
    def run(self, job_type: str, payload: Any, result_type: Any = Any, *, timeout: float | None = None) -> Any:
        """Submit a job, wait until it is done, and return its result, like a function call.

        Args:
            job_type: such as ``table.analyze``.
            payload: a Pydantic model or anything else that has a JSON form.
            result_type: the type to validate the result as: a Pydantic model or any other type.
            timeout: seconds to wait, 0 or more; None waits as long as it takes.

        Raises:
            Unsuccessful: the job failed, was cancelled or expired; ``error`` says why.
            WaitTimeout: the job is not done in time. The job goes on.
            pydantic.ValidationError: the result is not a ``result_type``.
        """
        return self._run(self._operations.run(job_type, payload, result_type, key=None, timeout=timeout))

    def get(self, job_id: JobId, *, include_payload: bool = False) -> Job:
        """Return the job as it is now."""
        return self._run(self._operations.get(job_id, include_payload=include_payload))

    def wait(self, job_id: JobId, *, timeout: float | None = None) -> Job:
        """Return the job once it is done, whether it succeeded or not.

        Raises:
            WaitTimeout: the job is not done after ``timeout`` seconds. The job goes on.
        """
        return self._run(self._operations.wait(job_id, timeout=timeout))

    def watch(
        self, job: JobId | Job, *, retry_for: float | None = None, on_outage: OnOutage | None = None
    ) -> Iterator[Job]:
        """Yield the job as it is, then after each change, up to the state in which it is done.

        Args:
            job: its id, or the job as last seen, which is then the first one yielded.
            retry_for: seconds that one outage may last. Default: the client's.
            on_outage: as for the client. Default: the client's.
        """
        operations = self._operations.with_retries(retry_for, on_outage)
        seen = job if isinstance(job, Job) else self._run(operations.get(job))
        yield seen
        while not seen.done:
            seen = self._run(operations.next_change(seen))
            yield seen

    @overload
    def result(self, job_id: JobId, result_type: type[T], *, consume: bool = False) -> T: ...
    @overload
    def result(self, job_id: JobId, *, consume: bool = False) -> Any: ...
    def result(self, job_id: JobId, result_type: Any = Any, *, consume: bool = False) -> Any:
        """Return the result of a job that is done.

        Args:
            job_id: the job.
            result_type: the type to validate the result as: a Pydantic model or any other type.
            consume: whether the server erases payload and result once it has sent the result; the job itself stays.

        Raises:
            NotDone: the job has not ended; :meth:`wait` for it.
            Unsuccessful: the job failed, was cancelled or expired; ``error`` says why.
            ResultErased: the result is no longer kept.
            pydantic.ValidationError: the result is not a ``result_type``.
        """
        return self._run(self._operations.result(job_id, result_type, consume=consume))

    def attempts(self, job_id: JobId) -> list[Attempt]:
        """Return the job's attempts that have ended, oldest first."""
        return self._run(self._operations.attempts(job_id))

    def cancel(self, job_id: JobId) -> Job:
        """Ask a job to stop. A job that waits is cancelled on return, a job that runs is about to stop.

        Raises:
            Conflict: the job has ended otherwise.
        """
        return self._run(self._operations.cancel(job_id))

    def retry(self, job_id: JobId) -> Job:
        """Queue a job again that failed, was cancelled or expired.

        Raises:
            Conflict: the job is in another state.
        """
        return self._run(self._operations.retry(job_id))

    def delete(self, job_id: JobId) -> None:
        """Erase payload, result and errors of a job that is done; lists no longer show it.

        Raises:
            Conflict: the job is not done.
        """
        self._run(self._operations.delete(job_id))

    def jobs(self, **options: Unpack[ListOptions]) -> Iterator[JobInList]:
        """Yield jobs, newest first, without payloads and results. Pages are fetched as they are needed."""
        token = None
        while True:
            page = self.jobs_page(page_token=token, **options)
            yield from page.items
            token = page.next_page_token
            if token is None:
                return

    def jobs_page(self, *, page_token: str | None = None, **options: Unpack[ListOptions]) -> Page[JobInList]:
        """Return one page of :meth:`jobs`; with ``page_token``, the page that ``next_page_token`` announced."""
        return self._run(self._operations.jobs_page(options, page_token))

    # --- files --------------------------------------------------------------------------------------------------

    def upload(self, source: files.Source, *, name: str | None = None, media_type: str | None = None) -> UploadedFile:
        """Store a file, streamed. A payload names it as ``{"file": uploaded.id}``.

        Args:
            source: a path, or a file open for reading in binary mode.
            name: of the file. Default: that of ``source``.
            media_type: such as ``text/csv``. Default: guessed from the name.

        Raises:
            OSError: ``source`` cannot be read.
        """
        with files.reading(source, name, media_type) as upload:
            return self._run(self._operations.upload(upload))

    def download(self, file_id: UUID | str, target: files.Target) -> None:
        """Write a stored file, streamed.

        Args:
            file_id: the file.
            target: a path, which names the file once it is complete, or a file open for writing in binary mode.

        Raises:
            OSError: ``target`` cannot be written.
        """
        with files.writing(target) as file:
            self._run(self._operations.download(file_id, file))

    def delete_file(self, file_id: UUID | str) -> None:
        """Remove a stored file. A job whose payload names it fails from then on.

        Raises:
            NotFound: there is no such file, or it is somebody else's.
        """
        self._run(self._operations.delete_file(file_id))

    # --- the system ---------------------------------------------------------------------------------------------

    def job_types(self) -> list[JobType]:
        """Return all job types with their defaults and schemas."""
        return self._run(self._operations.job_types())

    def job_type(self, name: str) -> JobType:
        """Return a job type with its defaults and the JSON Schemas of its payload and result."""
        return self._run(self._operations.job_type(name))

    def queues(self) -> list[Queue]:
        """Return all queues with what waits and runs in them."""
        return self._run(self._operations.queues())

    def workers(self) -> list[Worker]:
        """Return the worker processes that the caller may see."""
        return self._run(self._operations.workers())

    def check_ready(self) -> None:
        """Return if the server is ready to serve.

        Raises:
            ServerUnavailable: the server is not ready.
        """
        self._run(self._operations.check_ready())

    # --- history ------------------------------------------------------------------------------------------------

    def summarise_history(self, **options: Unpack[SummaryOptions]) -> HistorySummary:
        """Count and measure finished jobs, by period and group; see :class:`SummaryOptions`."""
        return self._run(self._operations.summarise_history(options))

    def failures(self, **options: Unpack[FailureOptions]) -> FailureGroups:
        """Group failed jobs by type and error, the largest groups first; see :class:`FailureOptions`."""
        return self._run(self._operations.failures(options))

    def export_history(self, target: str | Path | files.Writer, **options: Unpack[ExportOptions]) -> None:
        """Write finished jobs, streamed, oldest first.

        Args:
            target: a path, which names the file once it is complete, or anything with ``write(bytes)``. What was
                written before a failure stays, and ``cursor`` goes on from there.
            options: see :class:`ExportOptions`.

        Raises:
            OSError: ``target`` cannot be written.
        """
        with files.writing(target) as writer:
            self._run(self._operations.export_history(writer, options))

    # --- transport ------------------------------------------------------------------------------------------------

    def _run(self, operation: Operation[T]) -> T:
        try:
            request = next(operation)
            while True:
                time.sleep(request.pause)
                try:
                    response = self._send(request)
                except ServerUnreachable as error:
                    request = operation.throw(error)
                else:
                    request = operation.send(response)
        except StopIteration as end:
            result: T = end.value
            return result

    def _send(self, request: Request) -> Response:
        arguments = transport.arguments_of(request, self._timeout)
        with transport.unreachable(self.address), self._http.stream(**arguments) as received:
            head = transport.response_of(received, self.address)
            sink = transport.sink_for(request, head)
            if sink is None:
                return transport.response_of(received, self.address, received.read())
            for chunk in received.iter_bytes():
                sink.write(chunk)
            return head
