from __future__ import annotations

import pytest

from callboard.db.reads.jobs import get_jobs
from callboard.db.rules.states import Status
from callboard.db.sql.engine import Database
from tests.support.factory import Factory


@pytest.mark.parametrize("status", Status)
def test_a_job_can_be_made_in_every_state(database: Database, factory: Factory, status: Status) -> None:
    job_id = factory.in_state(status)

    with database.begin() as connection:
        assert get_jobs(connection, [job_id])[job_id]["status"] == status
