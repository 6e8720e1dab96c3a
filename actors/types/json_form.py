"""The JSON of a value that a handler gives: its result, a checkpoint, the result of a step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from callboard.db.errors import FieldError, InvalidInput, TooLarge
from callboard.db.rules.json_pointer import pointer
from callboard.db.rules.json_values import doubled_names, is_suspicious, parts, unstorable
from callboard.db.rules.text import said

ANYTHING: Final[TypeAdapter[Any]] = TypeAdapter(Any)

_MOST_ERRORS: Final = 100


def json_form(value: Any, adapter: TypeAdapter[Any] = ANYTHING, *, what: str, max_bytes: int) -> bytes:
    """Return ``value`` as the JSON that is stored, by the aliases of its models, as its JSON schema says.

    Args:
        value: fits ``adapter``.
        adapter: serializes it.
        what: the value's name in errors, such as ``The checkpoint``.
        max_bytes: the most that it may have.

    Raises:
        InvalidInput: the value has no JSON form, or one that would not be given back as it is; the message and the
            errors say where.
        TooLarge: its JSON has more bytes.
    """
    if value is None:
        return b"null"  # what most handlers return
    try:
        # by_alias also inside values that are annotated Any. Of types, the caller has checked what it wants.
        text = adapter.dump_json(value, by_alias=True, warnings=False)
    except Exception as error:
        if found := _found_before_text(value, adapter):
            raise _unstorable(what, found) from error
        raise InvalidInput(f"{what} has no JSON form: {said(error)}") from error
    if len(text) > max_bytes:
        raise TooLarge(f"{what} has {len(text)} bytes, the limit is {max_bytes}. Attach a file, and keep its id.")
    try:
        decoded = from_json(text)
    except ValueError as error:  # as of a payload: for thousands of digits, or its depth
        found = _found_before_text(value, adapter) or [FieldError("it is nested deeper than 200 levels", "")]
        raise _unstorable(what, found) from error
    found = list(unstorable(decoded)) if is_suspicious(text) else []
    if len(to_json(decoded)) != len(text):
        found += doubled_names(text)
    if b"null" in text:
        found += _lost_numbers(adapter.dump_python(value, by_alias=True, warnings=False), decoded)
    if found:
        raise _unstorable(what, found)
    return text


def _lost_numbers(value: Any, decoded: Any) -> Iterator[FieldError]:
    """Yield an error for each NaN and infinity of ``value`` that Pydantic has made null in its JSON, ``decoded``."""
    for path, item in parts(value):
        if isinstance(item, float) and not math.isfinite(item) and _at(decoded, path) is None:
            yield FieldError("a number must be finite; null takes its place", pointer(path))


def _at(decoded: Any, path: Iterable[object]) -> Any:
    for key in path:
        try:
            decoded = decoded[key if isinstance(decoded, list) else str(key)]
        except (LookupError, TypeError):
            return None
    return decoded


def _found_before_text(value: Any, adapter: TypeAdapter[Any]) -> list[FieldError]:
    """Return what is unstorable in ``value`` itself, which has no text, or one that cannot be read."""
    try:
        return list(unstorable(adapter.dump_python(value, mode="json", by_alias=True, warnings=False)))
    except Exception:  # noqa: BLE001 - the first error says why
        return []


def _unstorable(what: str, found: Sequence[FieldError]) -> InvalidInput:
    first = found[0]
    place = f" at {first.pointer}" if first.pointer else ""
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return InvalidInput(f"{what} cannot be stored{place}: {first.detail}{more}.", found[:_MOST_ERRORS])
