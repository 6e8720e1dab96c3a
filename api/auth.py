"""Who calls, and what they may do. Until keys exist, everybody who reaches the server is its local admin."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from fastapi import Depends, Request

from api.errors import Forbidden


class Role(StrEnum):
    """What a caller may do beyond its own jobs."""

    CLIENT = "client"
    """Its own jobs only."""
    VIEWER = "viewer"
    """Reads all."""
    OPERATOR = "operator"
    """Acts on all."""
    ADMIN = "admin"
    """Keys and queues as well."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent the request. Jobs that it submits are its ``owner``'s."""

    owner: str
    role: Role

    @property
    def sees_all(self) -> bool:
        """Whether it may read what others own."""
        return self.role is not Role.CLIENT

    @property
    def is_operator(self) -> bool:
        """Whether it may act on what others own."""
        return self.role in (Role.OPERATOR, Role.ADMIN)

    def sees(self, owner: str) -> bool:
        """Whether it may read what ``owner`` owns."""
        return self.role is not Role.CLIENT or owner == self.owner

    def require_action_on(self, owner: str) -> None:
        """Return if it may act on what ``owner`` owns.

        Raises:
            Forbidden: it may not.
        """
        if owner != self.owner and not self.is_operator:
            raise Forbidden(f"The role {self.role!s} may read the jobs of others, but not act on them.")

    def require_operator(self) -> None:
        """Return if it may act on the system as a whole.

        Raises:
            Forbidden: it may not.
        """
        if not self.is_operator:
            raise Forbidden(f"The role {self.role!s} may not do this; an operator may.")

    def require_overview(self) -> None:
        """Return if it may read about the system as a whole.

        Raises:
            Forbidden: it may not.
        """
        if not self.sees_all:
            raise Forbidden(f"The role {self.role!s} sees its own jobs only; a viewer or an operator sees the system.")


_LOCAL: Final = Caller(owner="local", role=Role.ADMIN)


async def current_caller(_request: Request) -> Caller:
    """Return who sent the request. Every endpoint under ``/v1`` that shows or changes something of somebody asks it."""
    return _LOCAL


AsCaller = Annotated[Caller, Depends(current_caller)]
"""Declares that an endpoint needs to know its caller."""
