"""``callboard keys``, on a real database."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest
from sqlalchemy import select

from callboard.db.access.keys import read_keys
from callboard.db.models import api_keys, audit_log
from callboard.db.rules.key_text import KeyText
from callboard.db.rules.roles import Role
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from tests.support.databases import Databases


class Ran(Protocol):
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def keys(run: Run, settings: Settings) -> Run:
    """Run ``callboard keys`` on the test's database."""
    url = settings.require_database_url()
    return lambda *arguments, **environment: run("keys", *arguments, CALLBOARD_DATABASE_URL=url, **environment)


def listed(keys: Run, *options: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(keys("list", "--json", *options).out)["items"]
    return items


def parsed(text: str) -> KeyText:
    key = KeyText.parse(text.strip())
    assert key is not None
    return key


def test_a_key_is_printed_once_and_only_its_hash_is_stored(keys: Run, database: Database) -> None:
    ran = keys("create", "billing")

    text = parsed(ran.out)
    assert (ran.code, ran.out) == (0, text.reveal() + "\n")
    assert "cannot be shown again" in ran.err
    assert text.secret not in ran.err
    with database.begin() as connection:
        row = connection.execute(select(*api_keys.c)).mappings().one()
        audit = connection.execute(select(audit_log.c.actor, audit_log.c.action, audit_log.c.subject)).one()
        valid = read_keys(connection).valid
    assert bytes(row["secret_sha256"]) == text.secret_sha256
    assert text.secret not in str(dict(row))
    assert (row["owner"], row["role"], row["expires_at"]) == ("billing", "client", None)
    assert audit.actor.startswith("cli:")
    assert (audit.action, audit.subject) == ("key.create", text.key_id)
    assert list(valid) == [text.key_id]
    assert text.secret not in keys("list", "--json", "--all").out


def test_what_a_key_may_is_said_when_it_is_made(keys: Run) -> None:
    ran = keys(
        "create", "ci", "--role", "operator", "--owner", "team", "--days", "30", "--max-live-jobs", "5",
        "--submissions-per-second", "2.5", "--json", CALLBOARD_ENVIRONMENT="staging",
    )  # fmt: skip

    made = json.loads(ran.out)
    assert parsed(made.pop("key")).environment == "staging"
    assert listed(keys) == [made]
    assert (made["name"], made["owner"], made["role"]) == ("ci", "team", "operator")
    assert (made["max_live_jobs"], made["submissions_per_second"]) == (5, 2.5)
    left = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < left <= timedelta(days=30)


def test_a_revoked_key_is_no_longer_listed(keys: Run, database: Database) -> None:
    key_id = parsed(keys("create", "billing").out).key_id

    assert keys("revoke", key_id).code == 0
    assert keys("revoke", key_id).code == 0

    assert listed(keys) == []
    assert listed(keys, "--all")[0]["revoked_at"]
    with database.begin() as connection:
        found = read_keys(connection)
    assert (found.any_made, found.valid) == (True, {})
    assert keys("rotate", key_id).code == 2


@pytest.mark.parametrize(("overlap", "valid"), [([], 1), (["--overlap", "2"], 2)])
def test_a_rotated_key_has_a_new_secret(keys: Run, overlap: list[str], valid: int) -> None:
    old = parsed(keys("create", "billing", "--role", "viewer").out)

    new = parsed(keys("rotate", old.key_id, *overlap).out)

    assert (new.key_id, new.secret) != (old.key_id, old.secret)
    items = {item["id"]: item for item in listed(keys)}
    assert len(items) == valid
    assert (items[new.key_id]["name"], items[new.key_id]["role"]) == ("billing", "viewer")
    if overlap:
        assert items[old.key_id]["expires_at"] > items[old.key_id]["created_at"]


def test_a_whole_key_serves_as_its_id_and_is_not_repeated(keys: Run) -> None:
    text = parsed(keys("create", "billing").out)

    mistyped = keys("revoke", text.reveal()[:-1])
    assert mistyped.code == 2
    assert text.secret not in mistyped.err + mistyped.out
    revoked = keys("revoke", text.reveal())
    assert revoked.code == 0
    assert text.secret not in revoked.err + revoked.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["revoke", "nothing"],
        ["rotate", "nothing"],
        ["create", ""],
        ["create", "a\x00b"],
        ["create", "a", "--role", "root"],
        ["create", "a", "--max-live-jobs", "-1"],
        ["create", "a", "--submissions-per-second", "0"],
        ["create", "a", "--owner", "x" * 256],
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_refused(keys: Run, arguments: list[str]) -> None:
    assert keys(*arguments).code == 2
    assert listed(keys, "--all") == []


def test_keys_are_a_table_for_people(keys: Run) -> None:
    assert "No keys." in keys("list").err
    keys("create", "billing")

    assert "billing" in keys("list", COLUMNS="200").out


def test_a_database_that_is_not_migrated_is_named(run: Run, databases: Databases, postgres: str) -> None:
    with databases.fresh(postgres) as url:
        ran = run("keys", "create", "billing", CALLBOARD_DATABASE_URL=url)
    assert ran.code == 2
    assert "callboard migrate" in ran.err
    assert ran.out == ""


def test_the_database_of_callboard_up_is_found(run: Run, settings: Settings, tmp_path: Path) -> None:
    missing = run("keys", "create", "billing", CALLBOARD_DATA_DIR=str(tmp_path))
    assert missing.code == 2
    assert "CALLBOARD_DATABASE_URL" in missing.err
    (tmp_path / "database_url").write_text(f"{settings.require_database_url()}\n")

    assert run("keys", "create", "billing", CALLBOARD_DATA_DIR=str(tmp_path)).code == 0


def test_client_commands_do_not_load_the_database() -> None:
    code = (
        "import sys, callboard.cli; print(*(name for name in ('sqlalchemy', 'psycopg', 'jwt') if name in sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (loaded.stdout.strip(), loaded.returncode) == ("", 0)


def test_roles_are_those_of_the_database() -> None:
    [check] = [item for item in api_keys.constraints if str(item.name).endswith("role_check")]
    assert all(f"'{role.value}'" in str(getattr(check, "sqltext", "")) for role in Role)
