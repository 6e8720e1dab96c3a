"""The caller of a request: its owner name, its role and what that permits, its quota."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Final

from fastapi import Depends, Request

from callboard.api.errors import Forbidden
from callboard.db.rules.roles import Role
from callboard.db.settings import Settings

__all__ = ["AsCaller", "Authenticate", "Caller", "Quota", "Role", "current_caller", "local_admin", "quota_of"]

#: Bits of an IPv6 address that name the network: one client may have all addresses in it.
_IPV6_NETWORK: Final = 64


@dataclass(frozen=True, slots=True)
class Quota:
    """How much a caller may submit; None: no limit."""

    name: str = ""
    """The key, the token's subject or the client's address, whose submissions are counted together."""
    max_live_jobs: int | None = None
    submissions_per_second: float | None = None


def quota_of(
    settings: Settings,
    name: str,
    role: Role,
    *,
    max_live_jobs: int | None = None,
    submissions_per_second: float | None = None,
) -> Quota:
    """Return the quota of a caller with credentials: what its key says, else what the settings say for its role."""
    if max_live_jobs is None and role is Role.CLIENT:
        max_live_jobs = settings.max_live_jobs or None
    if submissions_per_second is None:
        submissions_per_second = settings.submissions_per_second
    return Quota(name, max_live_jobs, submissions_per_second)


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request; it owns the jobs that it submits as ``owner``."""

    owner: str
    role: Role
    quota: Quota = Quota()
    key_id: str | None = None
    """Of the API key; None without one."""
    address: str | None = None
    """The client's address or network, where it needs no credentials: all such callers have one owner."""

    @property
    def share(self) -> str:
        """Whose share this request takes of what clients have to share."""
        return self.owner if self.address is None else f"address {self.address}"

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


async def local_admin(request: Request) -> Caller:
    """Return the admin ``local``, whoever sent the request."""
    settings: Settings = request.app.state.services.settings
    host = "" if request.client is None else request.client.host
    return _local(host, settings.max_live_jobs, settings.submissions_per_second_per_address)


@lru_cache(maxsize=1024)
def _local(host: str, max_live_jobs: int, submissions_per_second: float | None) -> Caller:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        network = host
    else:
        network = str(ipaddress.ip_network((address, _IPV6_NETWORK), strict=False) if address.version == 6 else address)
    quota = Quota(f"address:{network}", max_live_jobs or None, submissions_per_second)
    return Caller("local", Role.ADMIN, quota, address=network)


async def current_caller(request: Request) -> Caller:
    """Return the caller of the request, as the application's ``authenticate`` finds it."""
    authenticate: Authenticate = request.app.state.authenticate
    caller = request.scope["caller"] = await authenticate(request)
    return caller


AsCaller = Annotated[Caller, Depends(current_caller)]
"""The type of an endpoint's parameter that takes the caller."""
