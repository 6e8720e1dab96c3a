"""Roles of callers. Pure."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a caller may do beyond its own jobs."""

    CLIENT = "client"
    """Its own jobs only."""
    VIEWER = "viewer"
    """Reads all, submits nothing."""
    OPERATOR = "operator"
    """Acts on all."""
    ADMIN = "admin"
    """Keys and queues as well."""
