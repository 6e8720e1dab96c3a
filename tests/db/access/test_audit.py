"""The audit log takes new entries only, and loses old ones by retention only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from pydantic import TypeAdapter
from sqlalchemy import Connection, delete, insert, select, text, update
from sqlalchemy.exc import ProgrammingError

from callboard.actors.maintenance.duties import delete_expired
from callboard.db.access.audit import Actor, delete_old_entries, write_audit
from callboard.db.models import audit_log
from callboard.db.rules.ids import first_id, new_id
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database

Change = Callable[[Connection], object]


def entry(connection: Connection, *, days: float) -> UUID:
    """Add an entry as it was added so many days ago; its id."""
    at = datetime.now(UTC) - timedelta(days=days)
    entry_id = UUID(int=first_id(at).int | new_id().int & ((1 << 80) - 1))
    connection.execute(insert(audit_log).values(id=entry_id, at=at, actor="ann", action="job.cancel"))
    return entry_id


def entries(database: Database) -> list[str]:
    with database.begin() as connection:
        return list(connection.execute(select(audit_log.c.action).order_by(audit_log.c.id)).scalars())


@pytest.mark.parametrize(
    "change",
    [
        lambda connection: connection.execute(update(audit_log).values(actor="somebody else")),
        lambda connection: connection.execute(delete(audit_log)),
        lambda connection: connection.execute(text("TRUNCATE callboard.audit_log")),
        lambda connection: connection.execute(
            text("INSERT INTO callboard.audit_log TABLE callboard.audit_log ON CONFLICT (id) DO UPDATE SET at = now()")
        ),
    ],
    ids=["update", "delete", "truncate", "upsert"],
)
@pytest.mark.parametrize("retention", ["off", "on"])
def test_an_entry_cannot_be_changed(database: Database, change: Change, retention: str) -> None:
    with database.begin() as connection:
        write_audit(connection, Actor("ann", key_id="Qn3vB0xKd81a"), "job.cancel")

    with database.begin() as connection:
        connection.execute(text(f"SET LOCAL callboard.audit_retention = '{retention}'"))
        with pytest.raises(ProgrammingError, match="takes new entries only"):
            change(connection)

    with database.begin() as connection:
        row = connection.execute(select(audit_log)).one()
    assert (row.actor, row.key_id, row.action) == ("ann", "Qn3vB0xKd81a", "job.cancel")


def test_retention_deletes_old_entries_and_says_so(database: Database) -> None:
    with database.begin() as connection:
        for days in (100, 91, 89, 0):
            entry(connection, days=days)

    with database.begin() as connection:
        assert delete_old_entries(connection, keep_days=90) == 2

    assert entries(database) == ["job.cancel", "job.cancel", "audit.delete"]
    with database.begin() as connection:
        last = connection.execute(select(audit_log).order_by(audit_log.c.id.desc()).limit(1)).one()
    assert (last.actor, last.subject[:10]) == ("system:retention", "2 entries ")
    with database.begin() as connection:
        assert delete_old_entries(connection, keep_days=90) == 0


def test_after_retention_the_transaction_deletes_no_more(database: Database) -> None:
    with database.begin() as connection:
        entry(connection, days=100)
        entry(connection, days=60)

    with database.begin() as connection:
        delete_old_entries(connection, keep_days=90)
        with pytest.raises(ProgrammingError, match="DELETE is refused"):
            connection.execute(delete(audit_log))

    assert len(entries(database)) == 2


@pytest.mark.parametrize("keep_days", [None, 90])
def test_maintenance_deletes_by_the_setting(settings: Settings, database: Database, keep_days: int | None) -> None:
    with database.begin() as connection:
        entry(connection, days=100)
        entry(connection, days=1)

    with database.begin() as connection:
        delete_expired(settings.model_copy(update={"audit_keep_days": keep_days}), connection)

    assert entries(database) == ["job.cancel", "job.cancel" if keep_days is None else "audit.delete"]


def test_an_actor_of_before_keys_were_named_can_be_read() -> None:
    assert TypeAdapter(Actor).validate_json('{"name": "ann", "remote": null, "request_id": "r"}') == Actor(
        "ann", None, "r"
    )
