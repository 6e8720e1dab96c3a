"""The names that the command line gives to the options of a submission. Pure."""

from __future__ import annotations


def flag_of(name: str) -> str:
    """Return the flag for an option of a submission: ``--time-limit`` for ``time_limit``."""
    return "--tag" if name == "tags" else f"--{name.replace('_', '-')}"
