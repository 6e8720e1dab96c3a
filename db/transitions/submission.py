"""What is submitted and what is answered: the values of :func:`submit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from callboard.db.models.job_view import JobView
from callboard.db.rules.new_job import NewJob


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A key of its owner, with the hash of the request that it stands for. ``ttl``: seconds that it is kept."""

    owner: str
    key: str
    request_hash: bytes
    ttl: float


class SubmissionKind(StrEnum):
    """What became of a submission."""

    CREATED = "created"
    REPLAYED = "replayed"
    """The idempotency key had been used for the same request: these are its jobs."""
    KEY_REUSED = "key_reused"
    """The idempotency key had been used for another request; nothing was made."""
    KEY_IN_FLIGHT = "key_in_flight"
    """Another transaction is using the idempotency key right now; nothing was made, asking again will tell."""


@dataclass(frozen=True, slots=True)
class SubmissionRequest:
    """Jobs that are submitted together, all or none, under at most one idempotency key."""

    jobs: Sequence[NewJob]
    key: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class SubmissionResult:
    """The answer to a :class:`SubmissionRequest`."""

    kind: SubmissionKind
    job_ids: Sequence[UUID]
    """One for each job asked for, in order; another id than the one asked for is the live job of its unique key."""
    rows: Mapping[UUID, JobView]
    """These jobs by id, empty unless created: views, but only the ``id`` where several requests or jobs were written
    at once."""
