"""What clients send: the request bodies, with their documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Self, TypeAlias
from uuid import UUID

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    StringConstraints,
    create_model,
    model_validator,
)

from callboard.api.wire.times import Time
from callboard.db.bulk import Action
from callboard.db.reads.job_filter import CONDITIONS
from callboard.db.rules.new_job import OPTIONS, Kind, Option
from callboard.db.rules.states import Status


def _whole(value: object) -> object:
    """Return ``value``, as an integer if it is 5.0: to JSON, and so to clients, that is the same number as 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_WHOLE: Final = BeforeValidator(_whole)

Priority = Annotated[int, Field(ge=0, le=9), _WHOLE]
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


class Submission(Body):
    """A job to run, without its options: :class:`SubmitJob` has them as fields."""

    type: str = Field(min_length=1, max_length=200, description="A job type, see GET /v1/job-types.")
    payload: Any = Field(description="What the job works on, as the type's payload schema says.")

    @property
    def options(self) -> dict[str, Any]:
        """Return the options that the client gave, by name; those that are null or empty are as good as left out."""
        given = ((name, getattr(self, name)) for name in OPTIONS)
        return {name: value for name, value in given if value is not None and value != {}}


def _field_of(option: Option) -> tuple[Any, Any]:
    """Return the type of an option's values and its Pydantic field."""
    bounds = {"ge": option.least, "gt": option.above, "le": option.most}
    lengths = {"min_length": option.min_length, "max_length": option.max_length}
    limits: dict[str, Any] = {name: limit for name, limit in (bounds | lengths).items() if limit is not None}
    match option.kind:
        case Kind.TAGS:
            return Tags | None, Field(None, description=option.doc)
        case Kind.INTEGER:
            return Annotated[int, Field(**limits), _WHOLE] | None, Field(None, description=option.doc)
        case kind:
            plain: dict[Kind, Any] = {Kind.TEXT: str, Kind.SECONDS: float, Kind.TIME: Time, Kind.JOB_ID: UUID}
            return plain[kind] | None, Field(None, description=option.doc, **limits)


if TYPE_CHECKING:
    SubmitJob: TypeAlias = Submission
else:
    SubmitJob = create_model(
        "SubmitJob",
        __base__=Submission,
        __module__=__name__,
        __doc__="A job to run.",
        **{name: _field_of(option) for name, option in OPTIONS.items()},
    )


class Payload(RootModel[Any]):
    """What a job works on: any JSON that the schema of its type allows."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


class SubmitBatch(Body):
    """Jobs to run: all are accepted or none."""

    jobs: list[SubmitJob] = Field(
        min_length=1, max_length=10_000, description="Up to 10,000 jobs, or fewer where the server says so."
    )


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


#: The types of the filters that are not one text.
_FILTER_TYPES: Final[dict[str, Any]] = {
    "status": list[Status] | None,
    "tag": list[FilterText] | None,
    "created_after": Time | None,
    "created_before": Time | None,
    "parent_id": UUID | None,
}

if TYPE_CHECKING:
    BulkFilter: TypeAlias = Body
else:
    BulkFilter = create_model(
        "BulkFilter",
        __base__=Body,
        __module__=__name__,
        __doc__="Which jobs, with the names of the list's filters; all that are named must hold.",
        **{
            condition.parameter: (
                _FILTER_TYPES.get(condition.parameter, FilterText | None),
                Field(None, description=condition.doc),
            )
            for condition in CONDITIONS.values()
        },
    )


class BulkJobs(Body):
    """What to do, to which jobs."""

    action: Action = Field(
        description="cancel: jobs that live; retry: failed, cancelled and expired ones; delete: those that are done."
    )
    filter: BulkFilter = Field(description="Which of the jobs that the action applies to.")
    all: bool = Field(False, description="true, together with an empty filter: all of them. False if left out.")


_OF_JOBS: Final = "|".join(["last_event_id", *(condition.parameter for condition in CONDITIONS.values())])
_OF_JOB: Final = "last_event_id|page_size|page_token"
_UUID: Final = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
#: For the document; the endpoint says more about what is wrong.
_STREAM: Final = "^/v1/jobs/({})$".format(
    "|".join(
        rf"{path}(\?({names})=[^&#\s]*(&({names})=[^&#\s]*)*)?"
        for path, names in (("stream", _OF_JOBS), (f"{_UUID}/events", _OF_JOB))
    )
)


class MakeStreamTicket(Body):
    """Which stream is to be opened."""

    url: str = Field(
        max_length=8000,
        description="Path and query of a live stream: /v1/jobs/stream or /v1/jobs/<id>/events, with its parameters.",
        json_schema_extra={"pattern": _STREAM},
    )


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
