"""What Pydantic finds wrong with a value, without the cost of finding everything.

A value of a megabyte can be wrong in a million places. To find and to list them all takes seconds, in which no other
thread of the process runs, and a gigabyte.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, SchemaValidator, from_json

#: Most findings that a client is told of; more would not help.
MOST_FINDINGS: Final = 100
#: So many are listed one by one; to read the first of more from JSON text costs a fraction.
_MOST_LISTED: Final = 1000
#: Bytes of that text, which hold far more than a hundred.
_READ: Final = 256 * 2**10
_COLLECTIONS: Final = frozenset({"list", "tuple", "set", "frozenset", "dict"})


def first_findings(error: ValidationError) -> list[ErrorDetails]:
    """Return the first findings, at most :data:`MOST_FINDINGS`; with the input where they are few."""
    if error.error_count() <= _MOST_LISTED:
        return error.errors(include_url=False)[:MOST_FINDINGS]
    text = error.json(include_input=False, include_url=False, include_context=False)
    return cast("list[ErrorDetails]", from_json(text[:_READ], allow_partial=True)[:MOST_FINDINGS])


# One for each job type.
@lru_cache(maxsize=4096)
def fail_fast(adapter: TypeAdapter[Any]) -> SchemaValidator:
    """Return a validator that accepts what ``adapter`` accepts, and ends each collection at its first wrong element."""
    # The validators that models have already made would be used as they are.
    return SchemaValidator(cast("Any", _failing_fast(adapter.core_schema)), _use_prebuilt=False)


def _failing_fast(schema: Any) -> Any:
    match schema:
        case dict():
            changed = {name: _failing_fast(part) for name, part in schema.items()}
            return changed | {"fail_fast": True} if schema.get("type") in _COLLECTIONS else changed
        case list():
            return [_failing_fast(part) for part in schema]
    return schema
