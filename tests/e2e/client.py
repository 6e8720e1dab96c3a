"""The HTTP API as tests use it. Waiting is done by the server (long polls), not by sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

Job = dict[str, Any]

_LONGEST_POLL = 20.0


class Api:
    """One client of one system; close it."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=_LONGEST_POLL + 20)

    def close(self) -> None:
        self._http.close()

    def is_ready(self) -> bool:
        try:
            return self._http.get("/readyz").is_success
        except httpx.TransportError:
            return False

    def submit(self, job_type: str, payload: Any = None, **options: Any) -> str:
        """Submit a job and return its id."""
        body = {"type": job_type, "payload": {} if payload is None else payload, **options}
        response = self._http.post("/v1/jobs", json=body)
        assert response.status_code == 202, response.text
        job_id = response.json()["id"]
        assert isinstance(job_id, str)
        return job_id

    def submit_batch(self, jobs: Sequence[Job]) -> list[str]:
        """Submit jobs in one request and return their ids, in order."""
        response = self._http.post("/v1/jobs/batch", json={"jobs": jobs})
        assert response.status_code == 202, response.text
        ids = response.json()["ids"]
        assert isinstance(ids, list)
        return ids

    def job(self, job_id: str) -> Job:
        return self._json(self._http.get(f"/v1/jobs/{job_id}"))

    def wait(self, job_id: str, timeout: float = 30) -> Job:
        """Return the job once it is done."""
        deadline = time.monotonic() + timeout
        while not (job := self._poll(job_id, deadline).json())["done"]:
            assert time.monotonic() < deadline, f"after {timeout:g} s, the job is still {job}"
        assert isinstance(job, dict)
        return job

    def until(self, job_id: str, condition: Callable[[Job], bool], timeout: float = 30) -> Job:
        """Return the job once ``condition`` holds for it, seeing each of its changes unless two are close together."""
        deadline = time.monotonic() + timeout
        response = self._http.get(f"/v1/jobs/{job_id}")
        while not condition(job := self._json(response)):
            assert not job["done"], f"the job has ended otherwise: {job}"
            changed = self._poll(job_id, deadline, etag=response.headers["ETag"])
            assert time.monotonic() < deadline, f"after {timeout:g} s, the job is still {job}"
            if changed.status_code != httpx.codes.NOT_MODIFIED:
                response = changed
        return job

    def _poll(self, job_id: str, deadline: float, *, etag: str | None = None) -> httpx.Response:
        left = max(0.0, deadline - time.monotonic())
        headers = {} if etag is None else {"If-None-Match": etag}
        return self._http.get(f"/v1/jobs/{job_id}", params={"wait": min(left, _LONGEST_POLL)}, headers=headers)

    def attempts(self, job_id: str) -> list[Job]:
        items = self._json(self._http.get(f"/v1/jobs/{job_id}/attempts"))["items"]
        assert isinstance(items, list)
        return items

    def result(self, job_id: str) -> Any:
        response = self._http.get(f"/v1/jobs/{job_id}/result")
        assert response.status_code == 200, response.text
        return response.json()

    def cancel(self, job_id: str) -> Job:
        response = self._http.post(f"/v1/jobs/{job_id}/cancel")
        assert response.status_code == 202, response.text
        return self._json(response)

    def upload(self, path: Path) -> str:
        """Upload a file and return its id."""
        with path.open("rb") as file:
            response = self._http.post("/v1/files", files={"file": (path.name, file)})
        assert response.status_code == 201, response.text
        file_id = response.json()["id"]
        assert isinstance(file_id, str)
        return file_id

    def limit_queue(self, queue: str, **limits: float | None) -> None:
        """Change limits of a queue, of which nothing may have been seen yet."""
        self._json(self._http.patch(f"/v1/queues/{queue}", json=limits))

    def pause_queue(self, queue: str) -> None:
        self._json(self._http.post(f"/v1/queues/{queue}/pause"))

    def workers(self) -> list[Job]:
        items = self._json(self._http.get("/v1/workers"))["items"]
        assert isinstance(items, list)
        return items

    def _json(self, response: httpx.Response) -> Job:
        assert response.is_success, response.text
        body = response.json()
        assert isinstance(body, dict)
        return body
