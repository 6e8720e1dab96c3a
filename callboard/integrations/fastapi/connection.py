"""The connection from an application to Callboard: one client while the application runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import APIRouter
from starlette.types import Lifespan

from callboard.client import AsyncClient, Job, transport
from callboard.db.settings import load_settings

#: Seconds without a response after which a submission fails. A client of the application waits for it.
_TIMEOUT: Final = 5.0
#: Seconds during which a submission without a response is retried.
_RETRY_FOR: Final = 5.0


class Connection:
    """Submits jobs with one client, which is closed when the application stops."""

    def __init__(self, url: str | None, api_key: str | None, *, retry: bool) -> None:
        """
        Args:
            url: of Callboard; None for that of the settings, read at the first use.
            api_key: None for that of the settings, read at the first use.
            retry: whether to retry a submission without a response for 5 seconds.
        """
        self._url = url
        self._api_key = api_key
        self._retry_for = _RETRY_FOR if retry else 0.0
        self._client: AsyncClient | None = None
        """Open while the application runs."""

    @classmethod
    def of(cls, router: APIRouter, url: str | None, api_key: str | None, *, retry: bool) -> Connection:
        """Return the connection that all endpoints of a router share, open while the application runs."""
        connections: dict[object, Connection] = vars(router).setdefault("callboard_connections", {})
        key = (url, api_key, retry)
        if key not in connections:
            connections[key] = cls(url, api_key, retry=retry)
            router.lifespan_context = connections[key].within(router.lifespan_context)
        return connections[key]

    @property
    def address(self) -> str:
        """URL of Callboard, without a password."""
        return transport.address_of(transport.base_of(self._url or load_settings().url))

    async def submit(self, job_type: str, payload: dict[str, Any]) -> Job:
        """Submit a job, which is durable on return.

        Raises:
            ClientError: the job was not accepted, or there was no response.
            ConfigurationError: the settings are not valid.
        """
        if self._client is not None:
            return await self._client.submit(job_type, payload)
        # The application was not started, as in tests or if it is mounted in another one, and will not be stopped.
        async with self._new_client() as client:
            return await client.submit(job_type, payload)

    def within(self, outer: Lifespan[Any]) -> Lifespan[Any]:
        """Return a lifespan that wraps ``outer``, and opens and closes this."""

        @asynccontextmanager
        async def lifespan(app: Any) -> AsyncIterator[Any]:
            async with outer(app) as state, self._new_client() as client:
                self._client = client
                try:
                    yield state
                finally:
                    self._client = None

        return lifespan

    def _new_client(self) -> AsyncClient:
        settings = load_settings()
        key = self._api_key or (settings.api_key.get_secret_value() if settings.api_key else None)
        return AsyncClient(self._url or settings.url, api_key=key, timeout=_TIMEOUT, retry_for=self._retry_for)
