"""All that :class:`Run` promises is there for handlers in threads and for handlers in processes of their own."""

from __future__ import annotations

from typing import Literal
from uuid import UUID, uuid4

import pytest

from callboard.actors.types.run import Run
from callboard.db.files.rows import File, insert_file
from callboard.db.rules.ids import new_id
from tests.actors.execution.conftest import Bench
from tests.actors.execution.modules.run_members import USES

MEMBERS = sorted(name for name in dir(Run) if not name.startswith("_"))

Where = Literal["thread", "process"]


@pytest.fixture(scope="module")
def file(bench: Bench) -> UUID:
    """A file of the jobs' owner."""
    stored = bench.storage.put(file_id := new_id(), [b"content"])
    with bench.database.begin() as connection:
        insert_file(connection, File(file_id, "owner", "in.txt", stored.size, stored.sha256, "text/plain"))
    return file_id


@pytest.mark.parametrize("where", ["thread", "process"])
@pytest.mark.parametrize("member", MEMBERS)
def test_every_member_is_served(bench: Bench, file: UUID, where: Where, member: str) -> None:
    assert member in USES, f"Run.{member} has no use in tests/actors/execution/modules/run_members.py"
    row = bench.run(f"run.{where}", {"member": member, "file": str(file)}, max_retries=0)

    assert (row["status"], row["error"], row["result"]) == ("succeeded", None, USES[member][1])


@pytest.mark.parametrize("where", ["thread", "process"])
def test_an_error_of_the_worker_is_raised_in_the_handler(bench: Bench, where: Where) -> None:
    row = bench.run(f"run.{where}", {"member": "file", "file": str(uuid4())}, max_retries=0)

    assert (row["status"], row["error"]["type"]) == ("failed", "NotFound")
