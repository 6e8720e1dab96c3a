"""Who may: keys, the open server, and where it refuses to start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import event

from callboard.actors.types.registry import Registry
from callboard.api.app import create_app
from callboard.api.auth.api_keys import OLDEST, ApiKeys
from callboard.api.authenticator import Authenticator
from callboard.db.access.keys import Keys, revoke_key, rotate_key
from callboard.db.errors import ConfigurationError, Unavailable
from callboard.db.rules.ids import new_id
from callboard.db.rules.key_text import KeyText
from callboard.db.rules.roles import Role
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.processes.api import is_loopback, require_authentication
from tests.support.databases import Databases, settings_of
from tests.support.keys import bearer, make_key
from tests.support.serving import Served, serving
from tests.support.until import until

AsProblem = Callable[[httpx.Response, int, str], dict[str, Any]]
Secured = Callable[..., Served]
JOB = {"type": "test.job", "payload": {}}


@pytest.fixture
def secured(settings: Settings, registry: Registry, tmp_path: Path) -> Iterator[Secured]:
    """Serve the API as an api process does; keyword arguments change settings."""
    with ExitStack() as stack:

        def secured(*, local: bool = True, database: Database | None = None, **changes: Any) -> Served:
            changed = settings.model_copy(update={"files_url": (tmp_path / "files").as_uri(), **changes})
            app = create_app(changed, registry, database=database, authenticate=Authenticator(local=local))
            return stack.enter_context(serving(app))

        yield secured


def test_with_no_key_made_everybody_on_this_machine_is_a_local_admin(secured: Secured) -> None:
    client = secured().client

    assert client.post("/v1/jobs", json=JOB).json()["owner"] == "local"
    assert client.get("/v1/workers").status_code == 200
    # What a client sends anyway does not matter.
    assert client.get("/v1/workers", headers=bearer("nonsense")).status_code == 200


def test_on_another_address_nobody_is_let_in_without_a_key(
    secured: Secured, database: Database, as_problem: AsProblem
) -> None:
    client = secured(local=False).client

    as_problem(client.get("/v1/jobs"), 401, "unauthenticated")
    assert client.get("/v1/jobs", headers=bearer(make_key(database))).status_code == 200


def test_the_first_key_closes_an_open_server_at_once_for_good(secured: Secured, database: Database) -> None:
    client = secured().client
    assert client.get("/v1/jobs").status_code == 200
    key = make_key(database)

    until(lambda: client.get("/v1/jobs").status_code == 401, what="the key is refused", within=OLDEST + 0.5)

    assert client.get("/v1/jobs", headers=bearer(key)).status_code == 200
    with database.begin() as connection:
        revoke_key(connection, key.split("_")[2])
    until(
        lambda: client.get("/v1/jobs", headers=bearer(key)).status_code == 401,
        what="the key is refused",
        within=OLDEST + 0.5,
    )
    assert client.get("/v1/jobs").status_code == 401


def test_jobs_belong_to_the_keys_owner(secured: Secured, database: Database) -> None:
    ann, bob = make_key(database, "ann"), make_key(database, "bob")
    client = secured().client

    job = client.post("/v1/jobs", json=JOB, headers=bearer(ann)).json()

    assert job["owner"] == "ann"
    assert client.get(job["links"]["self"], headers=bearer(ann)).status_code == 200
    assert client.get(job["links"]["self"], headers=bearer(bob)).status_code == 404
    assert client.get("/v1/jobs", headers=bearer(bob)).json()["items"] == []


def test_a_key_that_was_made_just_now_is_known(secured: Secured, database: Database) -> None:
    first = make_key(database)
    client = secured().client
    assert client.get("/v1/jobs", headers=bearer(first)).status_code == 200

    assert client.get("/v1/jobs", headers=bearer(make_key(database))).status_code == 200


def changed(key: str, position: int) -> str:
    """The key with another character there, and the checksum that belongs to it."""
    text = KeyText.parse(key)
    assert text is not None
    secret = text.secret[:position] + ("a" if text.secret[position] != "a" else "b") + text.secret[position + 1 :]
    return KeyText(text.environment, text.key_id, secret).reveal()


# capfd comes first, so that it ends after the server, which may still be logging its last request.
def test_what_is_not_a_valid_key_is_refused_and_not_repeated(
    capfd: pytest.CaptureFixture[str], secured: Secured, database: Database, as_problem: AsProblem
) -> None:
    key = make_key(database)
    text = KeyText.parse(key)
    assert text is not None
    revoked = make_key(database)
    with database.begin() as connection:
        revoke_key(connection, revoked.split("_")[2])
    wrong = [
        changed(key, 0),
        changed(key, 31),
        revoked,
        make_key(database, lifetime=timedelta(0)),
        KeyText.generate("live").reveal(),
        KeyText("test", text.key_id, text.secret).reveal(),
        key[:-1],
        key[:-1] + ("a" if key[-1] != "a" else "b"),
        key.upper(),
        f"{key} {key}",
        "cb_",
        "x" * 60_000,
    ]
    client = secured().client

    for credentials in wrong:
        answer = client.get("/v1/jobs", headers=bearer(credentials))
        as_problem(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        assert text.secret not in answer.text
        assert credentials == "cb_" or credentials not in answer.text
    assert client.get("/v1/jobs", headers=bearer(key)).status_code == 200
    logs = capfd.readouterr()
    assert text.secret not in logs.out + logs.err


@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic YTpi", "Token x"])
def test_without_a_key_the_answer_says_how(
    secured: Secured, database: Database, as_problem: AsProblem, header: str | None
) -> None:
    make_key(database)

    answer = secured().client.get("/v1/jobs", headers={} if header is None else {"Authorization": header})

    as_problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_scheme_may_be_written_in_any_case(secured: Secured, database: Database) -> None:
    key = make_key(database)

    assert secured().client.get("/v1/jobs", headers={"Authorization": f"bearer  {key}"}).status_code == 200


def test_every_operation_needs_a_key_but_probes_and_documents(secured: Secured, database: Database) -> None:
    make_key(database)
    served = secured()
    document = served.get("/openapi.json")

    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            url = path.replace("{job_id}", str(new_id())).replace("{", "").replace("}", "")
            status = served.client.request(method, url, headers={"Accept": "application/json"}).status_code
            public = operation.get("security", document["security"]) == []
            assert public == (path == "/v1/version" or not path.startswith(("/v1/", "/metrics")))
            assert (status == 401) == (not public), (method, path, status)
    assert served.client.get("/docs").status_code == 200


def test_requests_do_not_ask_the_database_for_their_key(secured: Secured, settings: Settings) -> None:
    with_log = Database(settings, role="api")
    statements: list[str] = []
    event.listen(with_log._engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    key = make_key(with_log)
    client = secured(database=with_log).client
    assert client.get("/v1/job-types", headers=bearer(key)).status_code == 200
    del statements[:]

    for _ in range(50):
        assert client.get("/v1/job-types", headers=bearer(key)).status_code == 200
    assert len(statements) <= 2
    with_log.close()


def test_a_database_that_is_away_is_unavailable(secured: Secured, as_problem: AsProblem) -> None:
    url = SecretStr("postgresql://nobody:hunter2@127.0.0.1:1/x")
    client = secured(database_url=url, connect_timeout=1).client

    answer = client.get("/v1/job-types", headers=bearer(KeyText.generate("live").reveal()))

    as_problem(answer, 503, "unavailable")
    assert "retry-after" in answer.headers
    assert client.get("/livez").status_code == 200


def test_a_rotated_key_keeps_all_but_its_secret(database: Database) -> None:
    old = make_key(database, "ann", Role.OPERATOR, max_live_jobs=7, lifetime=timedelta(days=3))
    text = KeyText.generate("live")

    with database.begin() as connection:
        new = rotate_key(connection, old.split("_")[2], text, overlap=timedelta(hours=1))

    assert (new.owner, new.role, new.max_live_jobs, new.name) == ("ann", Role.OPERATOR, 7, "ann's")
    assert new.expires_at is not None
    assert new.expires_at - new.created_at == timedelta(days=3)


# --- the ring -----------------------------------------------------------------------------------------------------


class Source:
    """Where a ring reads keys, counted; it can be away."""

    def __init__(self) -> None:
        self.reads = 0
        self.away = 0

    async def __call__(self) -> Keys:
        self.reads += 1
        await asyncio.sleep(0)
        if self.away:
            self.away -= 1
            raise Unavailable("away")
        return Keys(any_made=True, valid={})


def test_many_requests_read_the_keys_once() -> None:
    async def main() -> int:
        source = Source()
        ring = ApiKeys(source, retry_for=0.0)
        await asyncio.gather(*[ring.keys() for _ in range(100)])
        return source.reads

    assert asyncio.run(main()) == 1


def test_guessing_keys_does_not_reach_the_database() -> None:
    async def main() -> int:
        source = Source()
        ring = ApiKeys(source, retry_for=0.0)
        assert set(await asyncio.gather(*[ring.find(f"guess{number}") for number in range(1000)])) == {None}
        return source.reads

    assert asyncio.run(main()) <= 2


def test_a_short_outage_is_waited_for_and_a_long_one_is_not() -> None:
    async def main() -> None:
        source = Source()
        source.away = 2
        assert (await ApiKeys(source, retry_for=3.0).keys()).any_made
        source.away = 1000
        ring = ApiKeys(source, retry_for=0.2)
        with pytest.raises(Unavailable):
            await ring.keys()
        source.away = 0
        assert (await ring.keys()).any_made

    asyncio.run(main())


# --- the start ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("host", "loopback"), [("127.0.0.1", True), ("::1", True), ("0.0.0.0", False), ("::", False)])
def test_loopback_addresses_are_told_from_others(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback


def test_an_address_that_cannot_be_resolved_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"no\.such\.host\.invalid"):
        is_loopback("no.such.host.invalid")


def test_other_addresses_need_a_valid_key_at_the_start(settings: Settings, database: Database) -> None:
    with pytest.raises(ConfigurationError, match=r"'0\.0\.0\.0': no API key has been made"):
        require_authentication(settings, "0.0.0.0")
    key = make_key(database)
    require_authentication(settings, "0.0.0.0")
    with database.begin() as connection:
        revoke_key(connection, key.split("_")[2])
    with pytest.raises(ConfigurationError):
        require_authentication(settings, "0.0.0.0")


def test_other_addresses_may_do_with_an_identity_provider(settings: Settings) -> None:
    oidc = {"oidc_jwks_url": "https://id.example/jwks", "oidc_issuer": "https://id.example", "oidc_audience": "cb"}

    require_authentication(settings.model_copy(update=oidc), "0.0.0.0")
    for missing in oidc:
        with pytest.raises(ConfigurationError, match="belong together"):
            require_authentication(settings.model_copy(update={**oidc, missing: None}), "0.0.0.0")


def test_a_database_that_cannot_tell_is_no_reason_to_start(databases: Databases, postgres: str) -> None:
    with pytest.raises(ConfigurationError, match=r"API key.*'0\.0\.0\.0'") as caught:
        require_authentication(settings_of("postgresql://a:hunter2@127.0.0.1:1/b"), "0.0.0.0")
    assert "hunter2" not in str(caught.value)
    with databases.fresh(postgres) as url, pytest.raises(ConfigurationError, match="no API key"):
        require_authentication(settings_of(url), "0.0.0.0")
