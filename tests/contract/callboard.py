"""A running Callboard and its clients, which use plain HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx

from callboard.db.rules.roles import Role
from callboard.db.sql.engine import Database
from tests.e2e.system import Embedded
from tests.support.keys import bearer, make_key

Job = dict[str, Any]

_ROLES: Final = {
    "ann": Role.CLIENT,
    "ben": Role.CLIENT,
    "vera": Role.VIEWER,
    "olga": Role.OPERATOR,
    "adam": Role.ADMIN,
}
#: Longer than anything here takes; no test waits for it to pass.
LONG: Final = 30


def make_keys(database: Database) -> dict[str, str]:
    """Make a key for each owner, and return them by owner."""
    return {
        **{owner: make_key(database, owner, role) for owner, role in _ROLES.items()},
        "olga's client": make_key(database, "olga"),
        "few": make_key(database, "few", max_live_jobs=2, submissions_per_second=1000.0),
        "slow": make_key(database, "slow", submissions_per_second=0.01),
    }


class Client(httpx.Client):
    """An HTTP client with the few helpers that all tests need."""

    def submit(self, job_type: str = "diagnostics.echo", payload: Any = None, **options: Any) -> Job:
        """Submit a job, which must be accepted, and return it."""
        body = {"type": job_type, "payload": {} if payload is None else payload, **options}
        answer = self.post("/v1/jobs", json=body)
        assert answer.status_code == 202, answer.text
        job: Job = answer.json()
        return job

    def done(self, job_id: str) -> Job:
        """Wait until the job is done, and return it."""
        answer = self.get(f"/v1/jobs/{job_id}", params={"wait": LONG})
        assert answer.status_code == 200, answer.text
        job: Job = answer.json()
        assert job["done"], job
        return job

    def running(self, job_id: str) -> Job:
        """Wait until the job runs, and return it."""
        answer = self.get(f"/v1/jobs/{job_id}")
        while (job := answer.json())["status"] != "running":
            assert not job["done"], job
            changed = self.get(
                f"/v1/jobs/{job_id}", params={"wait": LONG}, headers={"If-None-Match": answer.headers["ETag"]}
            )
            assert changed.status_code == 200, "it has not changed for a long time"
            answer = changed
        result: Job = job
        return result


class Callboard:
    """A running system and its clients."""

    def __init__(self, system: Embedded, keys: Mapping[str, str]) -> None:
        self.system = system
        self.keys = keys
        self.url = f"http://127.0.0.1:{system.port}"
        self._clients: dict[str, Client] = {}

    def client(self, owner: str) -> Client:
        """Return the client of that owner; "" has no credentials."""
        if owner not in self._clients:
            headers = bearer(self.keys[owner]) if owner else {}
            self._clients[owner] = Client(base_url=self.url, headers=headers, timeout=2 * LONG)
        return self._clients[owner]

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
