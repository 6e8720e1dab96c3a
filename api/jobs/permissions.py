"""Who may act on a job: its owner or an operator, and with the role that its type asks for."""

from __future__ import annotations

from callboard.api.auth.caller import Caller
from callboard.api.errors import Forbidden
from callboard.api.services import Services
from callboard.db.models.job_view import JobView


def require_action(services: Services, caller: Caller, row: JobView) -> None:
    """Require that the caller may cancel, retry, change or delete the job, or erase its result.

    Who shares the owner of an operator's job must not thereby have what the operator has: what such a job does, it
    does to the jobs of others.

    Raises:
        Forbidden: the role does not permit it.
    """
    caller.require_action_on(row["owner"])
    if not caller.is_operator and services.all_types.needs_operator(row["type"]):
        raise Forbidden(
            f"Job {row['id']} is a {row['type']}: the role {caller.role!s} may not act on it; an operator may."
        )
