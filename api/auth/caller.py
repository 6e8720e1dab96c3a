"""Who calls, and what they may do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request

from callboard.api.errors import Forbidden
from callboard.db.rules.roles import Role

__all__ = ["AsCaller", "Authenticate", "Caller", "Quota", "Role", "current_caller", "local_admin"]


@dataclass(frozen=True, slots=True)
class Quota:
    """How much a caller may submit; a limit that is None is not set."""

    name: str = ""
    """Whose submissions are counted together: those of one key, or of one token's subject."""
    max_live_jobs: int | None = None
    submissions_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent the request. Jobs that it submits are its ``owner``'s."""

    owner: str
    role: Role
    quota: Quota = Quota()

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

    def require_submission(self) -> None:
        """Return if it may submit jobs, and files for them.

        Raises:
            Forbidden: it may not.
        """
        if self.role is Role.VIEWER:
            raise Forbidden("The role viewer reads; it may not submit.")

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


Authenticate = Callable[[Request], Awaitable[Caller]]
"""Finds out who sent a request."""

_LOCAL: Final = Caller(owner="local", role=Role.ADMIN)


async def local_admin(_request: Request) -> Caller:
    """Take everybody who reaches the server for its local admin."""
    return _LOCAL


async def current_caller(request: Request) -> Caller:
    """Return who sent the request. Every endpoint under ``/v1`` that shows or changes something of somebody asks it."""
    authenticate: Authenticate = request.app.state.authenticate
    return await authenticate(request)


AsCaller = Annotated[Caller, Depends(current_caller)]
"""Declares that an endpoint needs to know its caller."""
