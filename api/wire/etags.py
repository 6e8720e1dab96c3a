"""Entity tags of jobs (RFC 9110, section 8.8.3): the state that a client has."""

from __future__ import annotations


def entity_tag(revision: int, status: str) -> str:
    """Return the entity tag of a job with this revision and status."""
    return f'"{revision}-{status}"'


def matches(condition: str, tag: str) -> bool:
    """Return whether an If-Match or If-None-Match header names this entity tag, or any (``*``).

    The comparison is weak (RFC 9110, section 8.8.3.2): a ``W/`` before a tag of the header does not matter. The server
    sends no weak tags.
    """
    candidates = (part.strip() for part in condition.split(","))
    return any(candidate == "*" or candidate.removeprefix("W/") == tag for candidate in candidates)
