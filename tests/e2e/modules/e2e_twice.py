"""A job type that is there already: both modules together must not start."""

from __future__ import annotations

from callboard import job


@job("e2e.patient")
def impatient(_payload: None) -> None:
    """Take another's name."""
