"""The caller of a request: its owner name, its role and what that permits, its quota."""

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
    """How much a caller may submit; None: no limit."""

    name: str = ""
    """The key or the token's subject, whose submissions are counted together."""
    max_live_jobs: int | None = None
    submissions_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request; it owns the jobs that it submits as ``owner``."""

    owner: str
    role: Role
    quota: Quota = Quota()
    key_id: str | None = None
    """Of the API key; None without one."""

    @property
    def sees_all(self) -> bool:
        """Whether the caller may read the jobs and files of other owners."""
        return self.role is not Role.CLIENT

    @property
    def is_operator(self) -> bool:
        """Whether the caller may change the jobs and files of other owners."""
        return self.role in (Role.OPERATOR, Role.ADMIN)

    def sees(self, owner: str) -> bool:
        """Return whether the caller may read the jobs and files of ``owner``."""
        return self.sees_all or owner == self.owner

    def require_submission(self) -> None:
        """Require that the caller may submit jobs and upload files.

        Raises:
            Forbidden: the role does not permit it.
        """
        if self.role is Role.VIEWER:
            raise Forbidden("The role viewer reads; it may not submit.")

    def require_action_on(self, owner: str) -> None:
        """Require that the caller may change the jobs and files of ``owner``.

        Raises:
            Forbidden: the role does not permit it.
        """
        if owner != self.owner and not self.is_operator:
            raise Forbidden(f"The role {self.role!s} may read the jobs of others, but not act on them.")

    def require_operator(self) -> None:
        """Require that the caller may change the system as a whole.

        Raises:
            Forbidden: the role does not permit it.
        """
        if not self.is_operator:
            raise Forbidden(f"The role {self.role!s} may not do this; an operator may.")

    def require_overview(self) -> None:
        """Require that the caller may read about the system as a whole.

        Raises:
            Forbidden: the role does not permit it.
        """
        if not self.sees_all:
            raise Forbidden(f"The role {self.role!s} sees its own jobs only; a viewer or an operator sees the system.")


Authenticate = Callable[[Request], Awaitable[Caller]]
"""Returns the caller of a request, or raises ``Unauthenticated`` or ``Forbidden``."""

_LOCAL: Final = Caller(owner="local", role=Role.ADMIN)


async def local_admin(_request: Request) -> Caller:
    """Return the admin ``local``, whoever sent the request."""
    return _LOCAL


async def current_caller(request: Request) -> Caller:
    """Return the caller of the request, as the application's ``authenticate`` finds it."""
    authenticate: Authenticate = request.app.state.authenticate
    caller = request.scope["caller"] = await authenticate(request)
    return caller


AsCaller = Annotated[Caller, Depends(current_caller)]
"""The type of an endpoint's parameter that takes the caller."""
