"""What the audit log tells beside changes: reads of what belongs to others, and refused requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from callboard.actors.types.registry import Registry
from callboard.api.app import create_app
from callboard.api.authenticator import Authenticator
from callboard.db.models import audit_log
from callboard.db.rules.roles import Role
from callboard.db.rules.states import Status
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from tests.support.factory import Factory
from tests.support.keys import bearer, make_key
from tests.support.serving import Served, serving

Serve = Callable[..., Served]


def entries(database: Database) -> Sequence[Any]:
    with database.begin() as connection:
        return connection.execute(select(audit_log).order_by(audit_log.c.id)).all()


@pytest.fixture
def client(serve: Serve) -> httpx.Client:
    return serve(authenticate=Authenticator(local=True)).client


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.ADMIN])
def test_reads_of_what_belongs_to_others_are_told(
    client: httpx.Client, database: Database, factory: Factory, role: Role
) -> None:
    ann, key = bearer(make_key(database, "ann")), make_key(database, "olga", role)
    job_id = factory.in_state(Status.SUCCEEDED, owner="ann")
    file_id = client.post("/v1/files", files={"file": ("a", b"0123")}, headers=ann).json()["id"]
    reads = [f"/v1/jobs/{job_id}?include=payload", f"/v1/files/{file_id}", "/v1/history/export?format=csv&owner=ann"]

    for headers in (ann, bearer(key)):
        for path in reads:
            assert client.get(path, headers=headers).status_code == 200

    told = entries(database)
    assert [(entry.action, entry.actor, entry.key_id, entry.job_id) for entry in told] == [
        ("job.read_payload", "olga", key.split("_")[2], job_id),
        ("file.download", "olga", key.split("_")[2], None),
        ("history.export", "olga", key.split("_")[2], None),
    ]
    assert [entry.subject for entry in told[1:]] == [f"{file_id} of ann", "csv: format=csv&owner=ann"]


def test_deletions_of_files_are_told(client: httpx.Client, database: Database) -> None:
    ann, key = bearer(make_key(database, "ann")), make_key(database, "olga", Role.OPERATOR)
    file_id = client.post("/v1/files", files={"file": ("a", b"0123")}, headers=ann).json()["id"]

    assert client.delete(f"/v1/files/{file_id}", headers=bearer(key)).status_code == 204

    (entry,) = entries(database)
    assert (entry.action, entry.actor, entry.key_id) == ("file.delete", "olga", key.split("_")[2])
    assert entry.subject == f"{file_id} of ann"


def test_refused_requests_are_counted(settings: Settings, registry: Registry, database: Database) -> None:
    key = make_key(database, "ann")
    with serving(create_app(settings, registry, authenticate=Authenticator(local=True))) as served:
        for _ in range(30):
            assert served.client.get("/v1/jobs", headers=bearer("cb_wrong")).status_code == 401
            assert served.client.post("/v1/queues/default/pause", headers=bearer(key)).status_code == 403
            assert served.client.get("/v1/jobs", headers=bearer(key)).status_code == 200
        assert entries(database) == []

    ann, nobody = sorted(entries(database), key=lambda entry: entry.action)
    assert (ann.action, nobody.action) == ("request.forbidden", "request.unauthenticated")
    assert (nobody.actor, nobody.key_id, nobody.remote) == ("anonymous", None, "127.0.0.1")
    assert nobody.subject == "30 times; the last: GET /v1/jobs"
    assert (ann.actor, ann.key_id, ann.remote) == ("ann", key.split("_")[2], "127.0.0.1")
    assert ann.subject == "30 times; the last: POST /v1/queues/default/pause"


def test_however_many_attack_the_entries_are_few(settings: Settings, registry: Registry, database: Database) -> None:
    make_key(database)
    with serving(create_app(settings, registry, authenticate=Authenticator(local=False))) as served:
        for number in range(100):
            # The address that a trusted proxy names.
            served.client.get("/v1/jobs", headers={"X-Forwarded-For": f"192.0.2.{number}"})

    told = entries(database)
    assert len(told) == 21
    (others,) = (entry for entry in told if entry.actor == "others")
    assert (others.remote, others.subject) == (None, "80 times; the last: GET /v1/jobs")
