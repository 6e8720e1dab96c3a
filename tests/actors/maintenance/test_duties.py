"""What operators see of maintenance: jobs that it ends, in the log and in the metrics."""

from __future__ import annotations

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from callboard.actors.dispatch.metrics import REGISTRY
from callboard.actors.maintenance.duties import Maintenance
from callboard.db.fleet.workers import WorkerState
from callboard.db.models import workers
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from tests.support.clock import make_overdue
from tests.support.factory import Factory
from tests.support.until import until


def finished(job_type: str, outcome: str) -> float:
    labels = {"type": job_type, "queue": "default", "outcome": outcome}
    return REGISTRY.get_sample_value("callboard_jobs_finished_total", labels) or 0.0


@pytest.fixture
def maintenance(database: Database, settings: Settings) -> Maintenance:
    return Maintenance(settings.model_copy(update={"maintenance_interval": 0.1}), database)


def test_expired_and_rescued_jobs_are_logged_and_counted(
    database: Database, factory: Factory, maintenance: Maintenance
) -> None:
    for _ in range(2):
        make_overdue(database, factory.submit(type="too.late"))
    lost = {
        factory.claim(factory.submit(type="its.worker.is.lost", max_retries=retries)).id: status
        for retries, status in ((0, "failed"), (1, "retrying"))
    }
    with database.begin() as connection:
        connection.execute(update(workers).values(state=WorkerState.LOST))
    with capture_logs() as logs:
        maintenance.start()
        try:
            until(lambda: sum(line["event"] in {"jobs_expired", "job_rescued"} for line in logs) == 3)
        finally:
            maintenance.stop()

    [expired] = [line for line in logs if line["event"] == "jobs_expired"]
    assert (expired["job_type"], expired["queue"], expired["jobs"]) == ("too.late", "default", 2)
    rescued = {line["job_id"]: line for line in logs if line["event"] == "job_rescued"}
    assert {job_id: line["status"] for job_id, line in rescued.items()} == {str(key): lost[key] for key in lost}
    for line in rescued.values():
        assert (line["job_type"], line["queue"], line["owner"]) == ("its.worker.is.lost", "default", "owner")
        assert (line["worker"], line["attempt"]) == ("host-1", 1)
    assert finished("too.late", "expired") == 2
    assert finished("its.worker.is.lost", "failed") == 1
