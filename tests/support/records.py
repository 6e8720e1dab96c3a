"""All that the database says of all jobs, for comparison with the model."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import RowMapping, select

from callboard.db.models import job_attempts, job_history, jobs
from callboard.db.sql.engine import Database


@dataclass
class Record:
    """The rows of one job."""

    live: list[RowMapping] = field(default_factory=list)
    finished: list[RowMapping] = field(default_factory=list)
    attempts: list[RowMapping] = field(default_factory=list)

    @property
    def row(self) -> RowMapping:
        """The one row that there is of a job, live or finished (promise P2)."""
        rows = self.live + self.finished
        assert len(rows) == 1, f"{len(self.live)} live and {len(self.finished)} finished rows"
        return rows[0]


def read_records(database: Database) -> dict[UUID, Record]:
    """Return the rows of every job."""
    records: dict[UUID, Record] = defaultdict(Record)
    with database.begin() as connection:
        for row in connection.execute(select(jobs)).mappings():
            records[row["id"]].live.append(row)
        for row in connection.execute(select(job_history)).mappings():
            records[row["id"]].finished.append(row)
        for row in connection.execute(select(job_attempts).order_by(job_attempts.c.attempt)).mappings():
            records[row["job_id"]].attempts.append(row)
    return dict(records)
