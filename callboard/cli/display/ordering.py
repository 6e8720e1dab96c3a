"""Results in the order of their type's fields, as PostgreSQL's jsonb keeps no order of keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from callboard.client import Client, Job


def in_field_order(client: Client, job: Job) -> Job:
    """Return the job with its result's fields in the order in which its type declares them."""
    from callboard.client import ClientError

    if not isinstance(job.result, dict | list):
        return job
    try:
        schema = client.job_type(job.type).result_schema
    except ClientError:
        # The order is a nicety: the server may no longer know the type of an old job.
        return job
    return job.model_copy(update={"result": in_schema_order(job.result, schema)})


def in_schema_order(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return ``value`` with the keys of its objects as the JSON Schema lists them; unknown ones follow."""
    return _ordered(value, schema, schema.get("$defs", {}))


def _ordered(value: Any, schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    for part in _alternatives(schema, definitions):
        if isinstance(value, list) and "items" in part:
            return [_ordered(item, part["items"], definitions) for item in value]
        properties = part.get("properties")
        if isinstance(value, dict) and properties and value.keys() & properties.keys():
            known = {key: _ordered(value[key], properties[key], definitions) for key in properties if key in value}
            return known | {key: item for key, item in value.items() if key not in known}
    return value


def _alternatives(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "$ref" in schema:
        yield from _alternatives(definitions.get(schema["$ref"].removeprefix("#/$defs/"), {}), definitions)
    for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _alternatives(part, definitions)
    yield schema
