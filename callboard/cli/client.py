"""The HTTP API as a client sees it. Every command but the servers' goes through :class:`Client`."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from ipaddress import ip_address
from typing import Any, BinaryIO, Self
from urllib.parse import quote
from uuid import UUID

import httpx

from callboard.cli.answers import ProblemAnswer, ServerUnreachable, problem_of, read_json
from callboard.cli.ordering import in_schema_order
from callboard.db.errors import ConfigurationError
from callboard.db.settings import Settings

Json = dict[str, Any]

#: Largest page the API gives.
PAGE_SIZE = 500

_CONNECT_TIMEOUT = 5.0
_ANSWER_TIMEOUT = 60.0
#: What an answer to a long poll may take beyond the time it was asked to wait.
_POLL_SLACK = 15.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A job as the server last showed it."""

    job: Json
    etag: str | None
    """Sent back, it asks for what has changed since."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """The answer to a submission. The job is durable."""

    seen: Seen
    existing: bool
    """True if the server gave a job that was there before: same unique key, or same idempotency key."""


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list, newest first."""

    items: list[Json]
    next_page_token: str | None

    def as_json(self) -> Json:
        return {"items": self.items, "next_page_token": self.next_page_token}


class Client:
    """Speaks to one API server; a context manager, for one thread.

    Every method raises :class:`ProblemAnswer` when the server refuses, and
    :class:`ServerUnreachable` when no answer comes.
    """

    def __init__(self, url: str, api_key: str | None = None) -> None:
        """Args: ``url`` is the server's address, with a path if it is mounted under one.

        Raises:
            ConfigurationError: ``url`` is not an http or https URL.
        """
        base = _parse(url)
        self.address = str(base.copy_with(userinfo=b"")).rstrip("/")
        headers = {"User-Agent": f"callboard/{version('callboard')}", "Accept": "application/json"}
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key}"
        self._http = httpx.Client(
            base_url=base,
            headers=headers,
            timeout=httpx.Timeout(_ANSWER_TIMEOUT, connect=_CONNECT_TIMEOUT),
            # A proxy cannot reach this machine's own loopback.
            trust_env=not _is_loopback(base.host),
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return a client for ``CALLBOARD_URL`` with ``CALLBOARD_API_KEY``."""
        return cls(settings.url, settings.api_key.get_secret_value() if settings.api_key else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    # --- jobs ---------------------------------------------------------------------------------------------------

    def submit(self, request: Json, *, idempotency_key: str | None = None) -> Submitted:
        """Post one job. ``request`` is the body of ``POST /v1/jobs``."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key is not None else {}
        response = self._send("POST", "/v1/jobs", json=request, headers=headers)
        replayed = response.headers.get("Idempotency-Replayed") == "true"
        return Submitted(self._seen(response), existing=replayed or response.status_code == httpx.codes.OK)

    def job(self, job_id: UUID | str, *, include_payload: bool = False) -> Seen:
        """Return the job as it is now."""
        params = {"include": "payload"} if include_payload else {}
        return self._seen(self._send("GET", f"/v1/jobs/{job_id}", params=params))

    def next_state(self, job_id: UUID | str, *, etag: str | None, wait: float) -> Seen | None:
        """Wait up to ``wait`` seconds (0 to 60) for the job to change from the state that ``etag`` names.

        Without an etag, wait for the job to be done. Returns None when nothing has changed.
        """
        response = self._send(
            "GET",
            f"/v1/jobs/{job_id}",
            params={"wait": f"{wait:g}"},
            headers={"If-None-Match": etag} if etag is not None else {},
            timeout=httpx.Timeout(wait + _POLL_SLACK, connect=_CONNECT_TIMEOUT),
        )
        return None if response.status_code == httpx.codes.NOT_MODIFIED else self._seen(response)

    def attempts(self, job_id: UUID | str) -> list[Json]:
        """Return the job's attempts, oldest first."""
        return list(self._items(f"/v1/jobs/{job_id}/attempts", {}))

    def jobs(self, filters: Mapping[str, str | Sequence[str]], *, limit: int, page_token: str | None = None) -> Page:
        """Return up to ``limit`` jobs, newest first, from as many pages as that takes."""
        items: list[Json] = []
        token = page_token
        while True:
            params = {**filters, "page_size": str(min(limit - len(items), PAGE_SIZE))}
            page = self._page("/v1/jobs", params, token)
            items += page.items
            token = page.next_page_token
            if token is None or len(items) >= limit:
                return Page(items, token)

    def cancel(self, job_id: UUID | str) -> Json:
        """Ask the job to stop. A waiting job is cancelled on return; a running one is about to stop."""
        return self._json(self._send("POST", f"/v1/jobs/{job_id}/cancel"))

    def retry(self, job_id: UUID | str) -> Json:
        """Queue a job again that failed, was cancelled or expired. It is durable on return."""
        return self._json(self._send("POST", f"/v1/jobs/{job_id}/retry"))

    def in_field_order(self, job: Json) -> Json:
        """Return the job with its result's fields in the order in which its type declares them."""
        if not isinstance(job.get("result"), dict | list):
            return job
        try:
            job_type = self._json(self._send("GET", f"/v1/job-types/{quote(job['type'])}"))
        except ProblemAnswer:
            # The type is gone from this server, its old jobs are not.
            return job
        return {**job, "result": in_schema_order(job["result"], job_type["result_schema"])}

    # --- files --------------------------------------------------------------------------------------------------

    def upload(self, name: str, content: BinaryIO) -> Json:
        """Store a file, streamed from ``content``, and return its id, name, size, sha256 and media_type."""
        media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return self._json(self._send("POST", "/v1/files", files={"file": (name, content, media_type)}))

    # --- the system ---------------------------------------------------------------------------------------------

    def queues(self) -> list[Json]:
        """Return all queues with what waits and runs in them."""
        return list(self._items("/v1/queues", {}))

    def workers(self) -> list[Json]:
        """Return the worker processes that the caller may see."""
        return list(self._items("/v1/workers", {}))

    def history_summary(self, params: Mapping[str, str]) -> Json:
        """Return the numbers of finished jobs; ``params`` are those of ``GET /v1/history/summary``."""
        return self._json(self._send("GET", "/v1/history/summary", params=params))

    def history_failures(self, params: Mapping[str, str]) -> Json:
        """Return failed jobs by type and error; ``params`` are those of ``GET /v1/history/failures``."""
        return self._json(self._send("GET", "/v1/history/failures", params=params))

    @contextmanager
    def history_export(self, params: Mapping[str, str]) -> Iterator[Iterator[bytes]]:
        """Yield the content of ``GET /v1/history/export`` piece by piece, as it comes."""
        try:
            with self._http.stream("GET", "/v1/history/export", params=params) as response:
                if not response.is_success:
                    response.read()
                    raise problem_of(response, self.address)
                yield response.iter_bytes()
        except httpx.RequestError as error:
            raise ServerUnreachable.because(error, self.address) from error

    def check_ready(self) -> None:
        """Return when the server says it is ready to serve; raise otherwise."""
        self._send("GET", "/readyz")

    # --- how --------------------------------------------------------------------------------------------------------

    def _items(self, path: str, params: Mapping[str, str]) -> Iterator[Json]:
        token = None
        while True:
            page = self._page(path, params, token)
            yield from page.items
            token = page.next_page_token
            if token is None:
                return

    def _page(self, path: str, params: Mapping[str, str | Sequence[str]], token: str | None) -> Page:
        body = self._json(self._send("GET", path, params={**params, **({"page_token": token} if token else {})}))
        return Page(body["items"], body.get("next_page_token"))

    def _seen(self, response: httpx.Response) -> Seen:
        return Seen(self._json(response), response.headers.get("ETag"))

    def _json(self, response: httpx.Response) -> Json:
        return read_json(response, self.address)

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **options)
        except httpx.RequestError as error:
            raise ServerUnreachable.because(error, self.address) from error
        if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
            return response
        raise problem_of(response, self.address)


def _parse(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        # The value may hold a password, so it is not repeated.
        raise ConfigurationError(
            "CALLBOARD_URL is not an address of a server. Set it to something like http://127.0.0.1:8000."
        )
    return parsed


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
