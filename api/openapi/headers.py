"""OpenAPI of response headers."""

from __future__ import annotations

from typing import Any, Final

Header = dict[str, Any]


def header(description: str, *, required: bool = False, example: str | None = None, **schema: Any) -> Header:
    """Return a header.

    Args:
        description: what it means.
        required: whether every such response has it.
        example: a value.
        schema: constraints of its text, such as ``pattern``.
    """
    made: Header = {"description": description, "required": required, "schema": {"type": "string", **schema}}
    if example is not None:
        made["example"] = example
    return made


def required(made: Header) -> Header:
    """Return the header as one that every such response has."""
    return {**made, "required": True}


REQUEST_ID: Final = header(
    "The request's id, taken from the request or made; the server's log has it too.",
    required=True,
    example="019aa1f05c1e7d3a9f412b7c8e0d4a65-2a",
)
RETRY_AFTER: Final = header("Seconds after which to ask again.", pattern=r"^\d+$", example="2")
ETAG: Final = header("The state that is shown, for If-None-Match and If-Match.", required=True, example='"7-running"')
JOB_LOCATION: Final = header("The job.", required=True, pattern="^/v1/jobs/")
REPLAYED: Final = header("The Idempotency-Key was used before for the same request; these are its jobs.", enum=["true"])
PREFERENCE_APPLIED: Final = header("What of Prefer or async_mode was done, if one was sent.", example="wait=10")
NEXT_PAGE: Final = header("The next page; left out on the last.", pattern='^<.+>; rel="next"$')
VARY_ACCEPT: Final = header("The answer depends on Accept.", required=True, enum=["Accept"])
CHALLENGE: Final = header("How to authenticate (RFC 6750).", required=True, example="Bearer")
RATE_LIMIT: Final = header("The limit that was hit, and what is left of it.", example='"submissions";r=0;t=2')
RATE_LIMIT_POLICY: Final = header("The caller's limits.", example='"submissions";q=100;w=1, "live-jobs";q=1000')
