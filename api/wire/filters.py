"""The query parameters that choose jobs: one for each filter of :class:`JobFilter`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Depends, Query
from pydantic import AfterValidator

from callboard.api.auth.caller import AsCaller
from callboard.api.wire.parameters import refused
from callboard.api.wire.times import Time
from callboard.db.errors import InvalidInput
from callboard.db.reads.job_filter import CONDITIONS, JobFilter
from callboard.db.rules.states import Status


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not hold a NUL character")
    return text


Text = Annotated[str, Query(max_length=1000), AfterValidator(_no_nul)]

#: The types of the query parameters that are not one text.
_TYPES: Final[Mapping[str, Any]] = {
    "status": list[Status],
    "tag": list[Text],
    "created_after": Time | None,
    "created_before": Time | None,
    "parent_id": UUID | None,
}


async def _job_filter(caller: AsCaller, **given: Any) -> JobFilter | None:
    owner = given["owner"]
    if owner is not None and not caller.sees(owner):
        return None
    seen = owner if caller.sees_all else caller.owner
    return filter_of(given | {"owner": seen}, lambda detail: refused("tag", detail))


def _parameter(name: str, doc: str) -> inspect.Parameter:
    kind = _TYPES.get(name, Text | None)
    repeatable = name in {"status", "tag"}
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=[] if repeatable else None,
        annotation=Annotated[kind, Query(description=doc)],
    )


# FastAPI reads the signature: one parameter for each filter.
_job_filter.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [
        inspect.Parameter("caller", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=AsCaller),
        *(
            _parameter(condition.parameter, condition.doc_of_query or condition.doc)
            for condition in CONDITIONS.values()
        ),
    ]
)

AsFilter = Annotated[JobFilter | None, Depends(_job_filter)]
"""The jobs that the caller asks for and may see; None: none."""


def filter_of(given: Mapping[str, Any], refused: Callable[[str], InvalidInput]) -> JobFilter:
    """Return the filter from the values of its parameters, by their names in queries and requests.

    Raises:
        InvalidInput: that of ``refused``, which is given the detail: a tag is not ``key:value``, or two exclude each
            other.
    """
    values = {name: given[condition.parameter] for name, condition in CONDITIONS.items()}
    statuses, tags = frozenset(values["statuses"] or ()), _tags_of(values["tags"] or (), refused)
    return JobFilter(**values | {"statuses": statuses, "tags": tags})


def _tags_of(given: Iterable[str], refused: Callable[[str], InvalidInput]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for text in given:
        key, colon, value = text.partition(":")
        if not colon or not key:
            raise refused("must be key:value")
        if tags.setdefault(key, value) != value:
            raise refused(f"asks for two values of {key!r}; a job has one")
    return tags
