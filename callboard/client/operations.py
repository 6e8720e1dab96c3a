"""The API's operations without any I/O: which requests to send, and what the responses mean."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import IO, Any, Final, TypeVar
from urllib.parse import quote
from uuid import UUID, uuid4

from pydantic import TypeAdapter
from pydantic_core import to_json

from callboard.api.openapi.history_operations import FailureGroups, HistorySummary
from callboard.api.openapi.models import (
    Attempt,
    Batch,
    Health,
    JobInList,
    JobType,
    Page,
    Queue,
    UploadedFile,
    Worker,
)
from callboard.client.errors import UnexpectedResponse, WaitTimeout
from callboard.client.files import FileSink, Sink, Upload, Writer
from callboard.client.messages import Operation, Parameters, Request, Response
from callboard.client.models import Job, M, parse
from callboard.client.options import (
    ExportOptions,
    FailureOptions,
    ListOptions,
    NewJob,
    SummaryOptions,
    query,
    submission,
)
from callboard.client.retries import OnOutage, Retries

T = TypeVar("T")
JobId = UUID | str

#: Seconds that one request waits for a job, unless a client is told otherwise: well below what proxies allow.
LONG_POLL: Final = 25.0
#: The same for a job whose ETag a proxy removed: without an ETag, the server would wait for the job's end.
_WAIT_WITHOUT_ETAG: Final = 1.0
#: Least seconds between two polls of a job, whatever the server does.
_LEAST_INTERVAL: Final = 0.1
_ACCEPTED: Final = 202
_NOT_MODIFIED: Final = 304
_JSON: Final = "application/json"
_EXPORT_MEDIA_TYPES: Final = {
    "ndjson": "application/x-ndjson",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}


@dataclass(frozen=True, slots=True)
class Operations:
    """Makes operations, which a transport runs."""

    retries: Retries
    long_poll: float = LONG_POLL
    """Seconds that one request waits for a job."""

    def with_retries(self, retry_for: float | None, on_outage: OnOutage | None) -> Operations:
        """Return the same operations with other retries; None keeps what holds here."""
        own = self.retries
        retries = Retries(own.retry_for if retry_for is None else retry_for, on_outage or own.on_outage)
        return replace(self, retries=retries)

    # --- jobs ---------------------------------------------------------------------------------------------------

    def submit(self, new: NewJob, *, key: str | None) -> Operation[Job]:
        """Submit one job."""
        request = _post("/v1/jobs", to_json(submission(new)), key=key)
        return parse(Job, (yield from self.retries.send(request)))

    def submit_batch(self, new: Sequence[NewJob], *, key: str | None) -> Operation[list[UUID]]:
        """Submit all jobs or none."""
        request = _post("/v1/jobs/batch", to_json({"jobs": [submission(job) for job in new]}), key=key)
        return parse(Batch, (yield from self.retries.send(request))).ids

    def run(
        self, job_type: str, payload: Any, result: Any, *, key: str | None, timeout: float | None
    ) -> Operation[Any]:
        """Submit a job, wait for it, and return its result as the type ``result``."""
        began = time.monotonic()
        wait = self.long_poll if timeout is None else min(timeout, self.long_poll)
        request = _post(f"/v1/run/{quote(job_type)}", to_json(payload), key=key, wait=wait)
        response = yield from self.retries.send(request)
        if response.status != _ACCEPTED:
            return _parse_result(result, response)
        job = parse(Job, response)
        yield from self.wait(job.id, timeout=timeout, began=began)
        return (yield from self.result(job.id, result, consume=False))

    def get(self, job_id: JobId, *, include_payload: bool = False) -> Operation[Job]:
        """Return the job as it is now."""
        params = {"include": "payload"} if include_payload else {}
        return (yield from self._get(Job, _path(job_id), params))

    def wait(self, job_id: JobId, *, timeout: float | None, began: float | None = None) -> Operation[Job]:
        """Return the job once it is done.

        Args:
            job_id: the job.
            timeout: seconds to wait, 0 or more; None waits as long as it takes.
            began: when the waiting began, on the monotonic clock. Default: now.
        """
        last = None if timeout is None else (time.monotonic() if began is None else began) + timeout
        pause = 0.0
        while True:
            now = time.monotonic()
            wait = self.long_poll if last is None else min(self.long_poll, max(0.0, last - now))
            request = replace(_poll(job_id, wait), pause=pause)
            job = parse(Job, (yield from self.retries.send(request)))
            if job.done:
                return job
            if last is not None and time.monotonic() >= last:
                raise WaitTimeout(f"Job {job_id} is still {job.status} after {timeout:g} s. It goes on.")
            pause = max(0.0, now + _LEAST_INTERVAL - time.monotonic())

    def next_change(self, job: Job) -> Operation[Job]:
        """Return the job once its state differs from that of ``job``."""
        pause = _LEAST_INTERVAL
        wait = _WAIT_WITHOUT_ETAG if job.etag is None else self.long_poll
        while True:
            now = time.monotonic()
            request = replace(_poll(job.id, wait, etag=job.etag), pause=pause)
            response = yield from self.retries.send(request)
            if response.status != _NOT_MODIFIED:
                return parse(Job, response)
            pause = max(0.0, now + _LEAST_INTERVAL - time.monotonic())

    def result(self, job_id: JobId, result: Any, *, consume: bool) -> Operation[Any]:
        """Return the job's result as the type ``result``."""
        params = {"consume": "true"} if consume else {}
        # The server erases a result that it has sent, so a second request would find nothing.
        request = Request("GET", f"{_path(job_id)}/result", params, repeatable=not consume)
        return _parse_result(result, (yield from self.retries.send(request)))

    def attempts(self, job_id: JobId) -> Operation[list[Attempt]]:
        """Return the attempts that have ended, oldest first."""
        return (yield from self._get(Page[Attempt], f"{_path(job_id)}/attempts")).items

    def cancel(self, job_id: JobId) -> Operation[Job]:
        """Ask a job to stop."""
        return parse(Job, (yield from self.retries.send(Request("POST", f"{_path(job_id)}/cancel"))))

    def retry(self, job_id: JobId) -> Operation[Job]:
        """Queue a job again."""
        # After a lost response the job is queued, and the server would refuse a second request.
        request = Request("POST", f"{_path(job_id)}/retry", repeatable=False)
        return parse(Job, (yield from self.retries.send(request)))

    def delete(self, job_id: JobId) -> Operation[None]:
        """Erase a job that is done."""
        yield from self.retries.send(Request("DELETE", _path(job_id), repeatable=False))

    def jobs_page(self, options: ListOptions, page_token: str | None) -> Operation[Page[JobInList]]:
        """Return one page of a list of jobs."""
        params = query(options)
        if page_token is not None:
            params["page_token"] = page_token
        return (yield from self._get(Page[JobInList], "/v1/jobs", params))

    # --- files --------------------------------------------------------------------------------------------------

    def upload(self, upload: Upload) -> Operation[UploadedFile]:
        """Store a file. The server removes a file whose response was lost after a while."""
        return parse(UploadedFile, (yield from self.retries.send(Request("POST", "/v1/files", upload=upload))))

    def download(self, file_id: UUID | str, file: IO[bytes]) -> Operation[None]:
        """Write a stored file into ``file``."""
        yield from self.retries.send(Request("GET", f"/v1/files/{quote(str(file_id), safe='')}", sink=FileSink(file)))

    def delete_file(self, file_id: UUID | str) -> Operation[None]:
        """Remove a stored file."""
        path = f"/v1/files/{quote(str(file_id), safe='')}"
        yield from self.retries.send(Request("DELETE", path, repeatable=False))

    # --- the system ---------------------------------------------------------------------------------------------

    def job_types(self) -> Operation[list[JobType]]:
        """Return all job types."""
        return (yield from self._get(Page[JobType], "/v1/job-types")).items

    def job_type(self, name: str) -> Operation[JobType]:
        """Describe a job type."""
        return (yield from self._get(JobType, f"/v1/job-types/{quote(name)}"))

    def queues(self) -> Operation[list[Queue]]:
        """Return all queues."""
        return (yield from self._get(Page[Queue], "/v1/queues")).items

    def workers(self) -> Operation[list[Worker]]:
        """Return the worker processes."""
        return (yield from self._get(Page[Worker], "/v1/workers")).items

    def check_ready(self) -> Operation[None]:
        """Return if the server is ready."""
        yield from self._get(Health, "/readyz")

    # --- history ------------------------------------------------------------------------------------------------

    def summarise_history(self, options: SummaryOptions) -> Operation[HistorySummary]:
        """Count and measure finished jobs."""
        return (yield from self._get(HistorySummary, "/v1/history/summary", query(options)))

    def failures(self, options: FailureOptions) -> Operation[FailureGroups]:
        """Group failed jobs by type and error."""
        return (yield from self._get(FailureGroups, "/v1/history/failures", query(options)))

    def export_history(self, writer: Writer, options: ExportOptions) -> Operation[None]:
        """Write finished jobs into ``writer``."""
        media_type = _EXPORT_MEDIA_TYPES.get(options.get("format", "ndjson"))
        # An export may take hours. To go on where it broke off is for the caller, who has the last id.
        sink = Sink(writer, media_type=media_type)
        response = yield from self.retries.send(Request("GET", "/v1/history/export", query(options), sink=sink))
        if not sink.accepts(response.media_type):
            raise UnexpectedResponse(response)

    def _get(self, model: type[M], path: str, params: Parameters | None = None) -> Operation[M]:
        return parse(model, (yield from self.retries.send(Request("GET", path, params or {}))))


def _path(job_id: JobId) -> str:
    return f"/v1/jobs/{quote(str(job_id), safe='')}"


def _poll(job_id: JobId, wait: float, *, etag: str | None = None) -> Request:
    headers = {} if etag is None else {"If-None-Match": etag}
    return Request("GET", _path(job_id), {"wait": f"{round(wait, 3):g}"}, headers, wait=wait)


def _post(path: str, content: bytes, *, key: str | None, wait: float | None = None) -> Request:
    key = str(uuid4()) if key is None else key
    if not key.isascii() or not key.isprintable():
        raise ValueError(f"The idempotency key is {key!r}. It must be 1 to 255 visible ASCII characters.")
    headers = {"Content-Type": _JSON, "Idempotency-Key": key}
    if wait is not None:
        headers["Prefer"] = f"wait={wait:.0f}"
    return Request("POST", path, headers=headers, content=content, wait=wait or 0.0)


def _parse_result(result: Any, response: Response) -> Any:
    if response.media_type != _JSON:
        raise UnexpectedResponse(response)
    return TypeAdapter(result).validate_json(response.content)
