"""What clients send: the request bodies, with their documentation."""

from __future__ import annotations

from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel, StringConstraints, model_validator

from callboard.api.wire.times import Time
from callboard.db.bulk import Action
from callboard.db.rules.states import Status

#: Ten years, in seconds.
LONGEST_DELAY: Final = 315_360_000.0


def _whole(value: object) -> object:
    """Return ``value``, as an integer if it is 5.0: to JSON, and so to clients, that is the same number as 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_WHOLE: Final = BeforeValidator(_whole)

Priority = Annotated[int, Field(ge=0, le=9), _WHOLE]
Retries = Annotated[int, Field(ge=0), _WHOLE]
Window = Annotated[int, Field(ge=1, le=100_000), _WHOLE]
AtATime = Annotated[int, Field(ge=0, le=1_000_000), _WHOLE]
Starts = Annotated[int, Field(ge=1, le=1_000_000), _WHOLE]
FilterText = Annotated[str, StringConstraints(max_length=1000)]
TagName = Annotated[str, StringConstraints(min_length=1, max_length=100)]
TagValue = Annotated[str, StringConstraints(max_length=500)]
Tags = Annotated[dict[TagName, TagValue], Field(max_length=50)]


class Body(BaseModel):
    """A request body: unknown fields and values of another type are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class SubmitJob(Body):
    """A job to run."""

    type: str = Field(min_length=1, max_length=200, description="A job type, see GET /v1/job-types.")
    payload: Any = Field(description="What the job works on, as the type's payload schema says.")
    queue: str | None = Field(None, max_length=100, description="Another queue than the type's own.")
    priority: Priority | None = Field(None, description="0 to 9, higher first. Default: the type's.")
    delay: float | None = Field(
        None, ge=0, le=LONGEST_DELAY, description="Seconds until it is due. Not together with scheduled_at."
    )
    scheduled_at: Time | None = Field(None, description="When it is due. Not together with delay.")
    expires_at: Time | None = Field(None, description="Ends as expired if it has not started by then.")
    time_limit: float | None = Field(
        None, gt=0, description="Seconds that one attempt may take, up to the type's bound. Default: the type's."
    )
    max_retries: Retries | None = Field(
        None, description="Attempts after the first, up to the type's bound. Default: the type's."
    )
    tags: Tags = Field(default_factory=dict, description="Names and values to find it by.")
    unique_key: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="While a live job of the same owner and type has it, a submission gives that job.",
    )
    parent_id: UUID | None = Field(None, description="The job that this one belongs to.")


class Payload(RootModel[Any]):
    """What a job works on: any JSON that the schema of its type allows."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


class SubmitBatch(Body):
    """Jobs to run: all are accepted or none."""

    jobs: list[SubmitJob] = Field(min_length=1, description="Up to 10,000 jobs, or fewer where the server says so.")


class AmendJob(Body):
    """What to change of a job that waits; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    priority: Priority = Field(5, description="0 to 9, higher first.")
    scheduled_at: Time | None = Field(None, description="When it is due; null: now.")
    expires_at: Time | None = Field(None, description="Ends as expired if it has not started by then; null: never.")
    tags: Tags = Field(default_factory=dict, description="All its tags from now on.")

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("nothing to change: name at least one field")
        return self


class BulkFilter(Body):
    """Which jobs, with the names of the list's filters; all that are named must hold."""

    status: list[Status] = Field([], description="In one of these states.")
    type: FilterText | None = Field(None, description="Of this type.")
    queue: FilterText | None = Field(None, description="In this queue.")
    owner: FilterText | None = Field(None, description="Of this owner.")
    tag: list[FilterText] = Field([], description="With all these tags, as key:value.")
    created_after: Time | None = Field(None, description="Made at this time or later.")
    created_before: Time | None = Field(None, description="Made before this time.")
    parent_id: UUID | None = Field(None, description="Children of this job.")


class BulkJobs(Body):
    """What to do, to which jobs."""

    action: Action = Field(
        description="cancel: jobs that live; retry: failed, cancelled and expired ones; delete: those that are done."
    )
    filter: BulkFilter = Field(description="Which of the jobs that the action applies to.")
    all: bool = Field(False, description="true, together with an empty filter: all of them.")


class ConfigureQueue(Body):
    """What to change of a queue; what is left out stays, null removes a limit."""

    dispatch_window: Window | None = Field(
        None, description="Most messages in the broker; null: as the server's settings say."
    )
    concurrency_limit: AtATime | None = Field(None, description="Most jobs that run at a time.")
    rate_limit: Starts | None = Field(
        None, description="Most jobs that start in each `rate_period`, spread evenly over it."
    )
    rate_period: float | None = Field(
        None, gt=0, le=86_400, allow_inf_nan=False, description="Seconds, 1 if null; only together with `rate_limit`."
    )

    model_config = ConfigDict(json_schema_extra={"dependentRequired": {"rate_period": ["rate_limit"]}})

    @model_validator(mode="after")
    def _rate_is_whole(self) -> Self:
        if "rate_period" in self.model_fields_set and "rate_limit" not in self.model_fields_set:
            raise ValueError("rate_period comes together with rate_limit")
        return self
