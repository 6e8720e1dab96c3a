"""OpenAPI of ``/v1/history``: responses and their models. The endpoints have the descriptions."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field

from callboard.api.openapi.headers import header
from callboard.api.openapi.models import Page
from callboard.api.openapi.parts import Document, operation, response
from callboard.db.rules.states import Reason

_JOB: Final = "019aa1f0-5c1e-7d3a-9f41-2b7c8e0d4a65"


class Durations(BaseModel):
    """Seconds; percentiles are at most 2.5 % off."""

    jobs: int = Field(description="How many jobs these are.")
    mean: float
    p50: float
    p95: float
    p99: float
    max: float


class PeriodSummary(BaseModel):
    """The jobs that finished in a period, or those of a group of them."""

    start: AwareDatetime
    end: AwareDatetime
    group: str | None = Field(description="The type, queue, owner or status; null without group_by.")
    jobs: int
    succeeded: int
    failed: int
    cancelled: int
    expired: int
    attempts: int
    success_rate: float | None = Field(description="Succeeded among succeeded and failed; null if there are none.")
    wait: Durations | None = Field(description="From when they were due to the first start, of those that started.")
    run: Durations | None = Field(description="The last attempt, of those that ended in one.")


class HistorySummary(Page[PeriodSummary]):
    """Periods and groups without jobs are left out. By start, then group."""

    since: AwareDatetime = Field(alias="from")
    until: AwareDatetime = Field(alias="to")


class GroupError(BaseModel):
    """What the jobs of a group failed with; null where it is not known any more."""

    reason: Reason | None = Field(examples=["exception"])
    type: str | None = Field(examples=["ValueError"])
    message: str | None = Field(
        description="Its beginning, with # for words with a digit.", examples=["sheet # has no header"]
    )


class FailureGroup(BaseModel):
    """Failures of one type with one error."""

    type: str = Field(examples=["spreadsheet.extract"])
    error: GroupError
    jobs: int = Field(examples=[7])
    first_seen: AwareDatetime = Field(examples=["2026-12-01T09:03:10.000Z"])
    last_seen: AwareDatetime = Field(examples=["2026-12-01T09:41:52.125Z"])
    example: UUID | None = Field(description="The latest of these jobs that is still there.", examples=[_JOB])


class FailureGroups(Page[FailureGroup]):
    """The largest groups first."""

    complete: bool = Field(description="False when there were more failures than are counted; the latest are.")


_DURATIONS: Final[Document] = {"jobs": 1180, "mean": 2.1, "p50": 1.44, "p95": 6.2, "p99": 9.8, "max": 31.7}

#: Examples by the names of schemas in the document.
EXAMPLES: Final[Document] = {
    "HistorySummary": {
        "from": "2026-12-01T09:00:00.000Z",
        "to": "2026-12-01T10:00:00.000Z",
        "items": [
            {
                "start": "2026-12-01T09:00:00.000Z",
                "end": "2026-12-01T10:00:00.000Z",
                "group": "spreadsheet.extract",
                "jobs": 1200,
                "succeeded": 1170,
                "failed": 10,
                "cancelled": 20,
                "expired": 0,
                "attempts": 1215,
                "success_rate": 0.991525,
                "wait": {"jobs": 1190, "mean": 0.3, "p50": 0.02, "p95": 1.2, "p99": 3.4, "max": 8.1},
                "run": _DURATIONS,
            }
        ],
        "next_page_token": None,
    },
    # Without items, which have their examples field by field: linters take `example` beside `type` for a schema.
    "FailureGroups": {"complete": True, "items": [], "next_page_token": None},
}

SUMMARY: Final = operation({200: response(HistorySummary, "OK")})
FAILURES: Final = operation({200: response(FailureGroups, "OK")})
EXPORT: Final = operation(
    {
        200: {
            "description": "The rows.",
            "content": {
                "application/x-ndjson": {
                    "schema": {"type": "string", "description": "A JSON object a line."},
                    "example": f'{{"id":"{_JOB}","type":"spreadsheet.extract","status":"succeeded"}}\n',
                },
                "text/csv": {
                    "schema": {"type": "string"},
                    "example": f"id,type,status\r\n{_JOB},spreadsheet.extract,succeeded\r\n",
                },
                "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
            },
            "headers": {
                "Content-Disposition": header(
                    "A name for the file.", required=True, example='attachment; filename="callboard-history.ndjson"'
                )
            },
        }
    }
)
