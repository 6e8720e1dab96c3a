"""Entity tags of jobs: what a client has seen."""

from __future__ import annotations


def entity_tag(revision: int, status: str) -> str:
    """Return the entity tag of a job in that state."""
    return f'"{revision}-{status}"'


def matches(if_none_match: str, tag: str) -> bool:
    """Whether an If-None-Match header names this entity tag (RFC 9110, section 13.1.2: compared weakly)."""
    candidates = (part.strip() for part in if_none_match.split(","))
    return any(candidate == "*" or candidate.removeprefix("W/") == tag for candidate in candidates)
