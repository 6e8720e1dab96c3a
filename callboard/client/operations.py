"""The API's operations, without any input or output of their own: what to send, and what the answers mean."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import IO, Any, Final, TypeVar
from urllib.parse import quote
from uuid import UUID, uuid4

from pydantic import BaseModel, TypeAdapter
from pydantic_core import to_json

from callboard.api.openapi.models import Batch, Job, JobInList, Page
from callboard.client.calls import Answer, Call, Operation, Parameters, Upload
from callboard.client.errors import ClientError, WaitTimeout
from callboard.client.options import Filters, NewJob, query, submission
from callboard.client.retries import Retries

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
JobId = UUID | str

#: Seconds that one request waits for a job. Well below what proxies and load balancers allow.
LONGEST_WAIT: Final = 25.0
#: Least seconds between two looks at a job, whatever the server does.
_LEAST_INTERVAL: Final = 0.1
_ACCEPTED: Final = 202
_NOT_MODIFIED: Final = 304


class StoredFile(BaseModel):
    """A file that the server keeps. A payload names it as ``{"file": id}``."""

    id: UUID
    name: str
    size: int
    sha256: str
    media_type: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A job as the server showed it."""

    job: Job
    etag: str | None
    """Sent back, it asks for what has changed since."""


@dataclass(frozen=True, slots=True)
class Operations:
    """Makes operations; a transport runs them."""

    retries: Retries

    def submit(self, new: NewJob, *, key: str | None) -> Operation[Job]:
        """Submit one job."""
        call = _post("/v1/jobs", to_json(submission(new)), key=key)
        return _parse(Job, (yield from self.retries.send(call)))

    def submit_batch(self, new: Sequence[NewJob], *, key: str | None) -> Operation[list[UUID]]:
        """Submit all, or none."""
        call = _post("/v1/jobs/batch", to_json({"jobs": [submission(job) for job in new]}), key=key)
        return _parse(Batch, (yield from self.retries.send(call))).ids

    def run(
        self, job_type: str, payload: Any, result: Any, *, key: str | None, timeout: float | None
    ) -> Operation[Any]:
        """Submit, wait, and return the result."""
        began = time.monotonic()
        wait = LONGEST_WAIT if timeout is None else min(timeout, LONGEST_WAIT)
        answer = yield from self.retries.send(_post(f"/v1/run/{quote(job_type)}", to_json(payload), key=key, wait=wait))
        if answer.status != _ACCEPTED:
            return _parse_as(result, answer)
        job = _parse(Job, answer)
        left = None if timeout is None else max(0.0, began + timeout - time.monotonic())
        yield from self.wait(job.id, timeout=left)
        return (yield from self.result(job.id, result, consume=False))

    def get(self, job_id: JobId, *, include_payload: bool = False) -> Operation[Seen]:
        """Return the job as it is now."""
        params = {"include": "payload"} if include_payload else {}
        return _seen((yield from self.retries.send(Call("GET", _path(job_id), params))))

    def wait(self, job_id: JobId, *, timeout: float | None) -> Operation[Job]:
        """Return the job once it is done."""
        last = None if timeout is None else time.monotonic() + timeout
        pause = 0.0
        while True:
            now = time.monotonic()
            wait = LONGEST_WAIT if last is None else min(LONGEST_WAIT, max(0.0, last - now))
            call = replace(_poll(job_id, wait), pause=pause)
            job = _seen((yield from self.retries.send(call))).job
            if job.done:
                return job
            if last is not None and time.monotonic() >= last:
                raise WaitTimeout(f"Job {job_id} is still {job.status} after {timeout:g} seconds. It goes on.")
            pause = max(0.0, now + _LEAST_INTERVAL - time.monotonic())

    def next_change(self, seen: Seen) -> Operation[Seen]:
        """Return the job once it is no longer as ``seen``."""
        pause = _LEAST_INTERVAL
        while True:
            now = time.monotonic()
            call = replace(_poll(seen.job.id, LONGEST_WAIT, etag=seen.etag), pause=pause)
            answer = yield from self.retries.send(call)
            if answer.status != _NOT_MODIFIED:
                return _seen(answer)
            pause = max(0.0, now + _LEAST_INTERVAL - time.monotonic())

    def result(self, job_id: JobId, result: Any, *, consume: bool) -> Operation[Any]:
        """Return the result as the type ``result``."""
        params = {"consume": "true"} if consume else {}
        # Once it has been sent it is erased, so a second request would find nothing.
        call = Call("GET", f"{_path(job_id)}/result", params, repeatable=not consume)
        return _parse_as(result, (yield from self.retries.send(call)))

    def cancel(self, job_id: JobId) -> Operation[Job]:
        """Ask a job to stop."""
        return _parse(Job, (yield from self.retries.send(Call("POST", f"{_path(job_id)}/cancel"))))

    def retry(self, job_id: JobId) -> Operation[Job]:
        """Queue a job again."""
        # Repeated after a lost answer, it would be refused: the job is queued already.
        call = Call("POST", f"{_path(job_id)}/retry", repeatable=False)
        return _parse(Job, (yield from self.retries.send(call)))

    def delete(self, job_id: JobId) -> Operation[None]:
        """Erase a job that is done."""
        yield from self.retries.send(Call("DELETE", _path(job_id), repeatable=False))

    def page(self, filters: Parameters, token: str | None) -> Operation[Page[JobInList]]:
        """Return one page of a list of jobs."""
        params = filters if token is None else {**filters, "page_token": token}
        return _parse(Page[JobInList], (yield from self.retries.send(Call("GET", "/v1/jobs", params))))

    def filters(self, filters: Filters) -> Parameters:
        """Return what :meth:`page` takes."""
        return query(filters)

    def upload(self, upload: Upload) -> Operation[StoredFile]:
        """Store a file. One whose answer was lost is nobody's, and the server removes it after a while."""
        return _parse(StoredFile, (yield from self.retries.send(Call("POST", "/v1/files", upload=upload))))

    def download(self, file_id: UUID | str, sink: IO[bytes]) -> Operation[None]:
        """Write a file's bytes into ``sink``."""
        yield from self.retries.send(Call("GET", f"/v1/files/{quote(str(file_id), safe='')}", sink=sink))


def _path(job_id: JobId) -> str:
    return f"/v1/jobs/{quote(str(job_id), safe='')}"


def _poll(job_id: JobId, wait: float, *, etag: str | None = None) -> Call:
    headers = {} if etag is None else {"If-None-Match": etag}
    return Call("GET", _path(job_id), {"wait": f"{wait:.3f}"}, headers, wait=wait)


def _post(path: str, content: bytes, *, key: str | None, wait: float | None = None) -> Call:
    headers = {"Content-Type": "application/json", "Idempotency-Key": key or str(uuid4())}
    if wait is not None:
        headers["Prefer"] = f"wait={wait:.0f}"
    return Call("POST", path, headers=headers, content=content, wait=wait or 0.0)


def _seen(answer: Answer) -> Seen:
    return Seen(_parse(Job, answer), answer.headers.get("etag"))


def _parse(model: type[M], answer: Answer) -> M:
    try:
        return model.model_validate_json(answer.content)
    except ValueError as error:
        raise ClientError(
            f"The server answered {answer.status}, but not as a Callboard would. Does the URL name the right server?"
        ) from error


def _parse_as(result: Any, answer: Answer) -> Any:
    return TypeAdapter(result).validate_json(answer.content)
