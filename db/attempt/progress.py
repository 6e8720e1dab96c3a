"""Progress reports: the latest in the job's row, all of them in ``job_progress``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Double, Integer, Text, Uuid, and_, cast, func, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.types import TypeEngine

from callboard.db.models import TIME, job_progress, jobs
from callboard.db.rules.attempts import ProgressReport, percent
from callboard.db.rules.states import Status
from callboard.db.rules.text import storable
from callboard.db.sql.rowset import among, each, rowset, rowset_of

__all__ = ["ProgressReport", "now_text", "percent", "report_progress"]

_COLUMNS: dict[str, TypeEngine[Any]] = {
    "id": Uuid(),
    "attempt": Integer(),
    "seq": Integer(),
    "current": Double(),
    "total": Double(),
    "step": Text(),
    "message": Text(),
    "progress": Text(),
}
_reports = rowset(**_COLUMNS)
# RFC 3339 with milliseconds, as the API writes every time.
now_text = func.to_char(func.timezone("UTC", func.now()), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
_of_running, _running = each(
    _reports,
    select(jobs.c.id)
    .where(jobs.c.id == _reports.c.id, jobs.c.attempt == _reports.c.attempt, jobs.c.status == Status.RUNNING)
    .with_for_update(),
)
_accepted = select(_running.c.id, _reports.c.progress).select_from(_of_running).cte("accepted")
_report = select(cast(_accepted.c.progress, JSONB)).where(_accepted.c.id == jobs.c.id).scalar_subquery()
_updated = (
    update(jobs)
    .where(among(jobs.c.id, _accepted))
    .values(
        progress=_report.op("||")(func.jsonb_build_object("updated_at", now_text)),
        revision=jobs.c.revision + 1,
    )
    .returning(jobs.c.id, jobs.c.created_at, jobs.c.attempt)
    .cte("updated")
)
_same_attempt = and_(_reports.c.id == _updated.c.id, _reports.c.attempt == _updated.c.attempt)
_store = (
    insert(job_progress)
    .from_select(
        ["job_id", "created_at", "attempt", "seq", "reported_at", "current", "total", "step", "message"],
        select(
            _updated.c.id,
            _updated.c.created_at,
            _reports.c.attempt,
            _reports.c.seq,
            cast(func.now(), TIME),
            _reports.c.current,
            _reports.c.total,
            _reports.c.step,
            _reports.c.message,
        ).select_from(_updated.join(_reports, _same_attempt)),
    )
    # The reports may have been committed before, and only the response was lost.
    .on_conflict_do_nothing()
)


def report_progress(connection: Connection, reports: Sequence[ProgressReport]) -> None:
    """Store progress reports, at most one for each job. Those of attempts that do not run any more are dropped."""
    if reports:
        rows = (_row(report) for report in sorted(reports, key=lambda report: report.attempt_id))
        connection.execute(_store, rowset_of(rows))


def _row(report: ProgressReport) -> dict[str, object]:
    step = None if report.step is None else storable(report.step)
    message = None if report.message is None else storable(report.message)
    shown = {
        "percent": report.percent,
        "current": report.current,
        "total": report.total,
        "step": step,
        "message": message,
    }
    return {
        "id": report.attempt_id.job_id,
        "attempt": report.attempt_id.number,
        "seq": report.seq,
        "current": report.current,
        "total": report.total,
        "step": step,
        "message": message,
        "progress": orjson.dumps(shown).decode(),
    }
