"""Job ids: UUIDv7 (RFC 9562), made in the application, ordered by time.

A job's ``created_at`` is the timestamp in its id, so an id alone leads to the partition of its history.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from uuid_utils.compat import uuid7

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# 48 bits of milliseconds reach beyond the year 9999, where datetime ends.
_LAST_MILLISECOND = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


def new_id() -> UUID:
    """Return a new UUIDv7; ids made in one process ascend."""
    return uuid7()


def created_at_of(job_id: UUID) -> datetime:
    """Return the time in a UUIDv7: UTC, whole milliseconds.

    Of a UUID of another version it is a meaningless time, under which no job is stored.
    """
    return _EPOCH + timedelta(milliseconds=min(job_id.int >> 80, _LAST_MILLISECOND))


def first_id(time: datetime) -> UUID:
    """Return the least id that a job made at ``time`` or later can have."""
    return UUID(int=((time - _EPOCH) // timedelta(milliseconds=1)) << 80)
