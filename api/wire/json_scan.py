"""Looks at JSON before it is parsed: how many values it has, and where the jobs of a batch begin and end. Pure.

A few bytes of JSON can become hundreds in memory, and a parser lets no other thread run until it is through. So what is
parsed at a time is bounded first, at the cost of a look at each bracket.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from callboard.api.errors import MalformedBody
from callboard.db.errors import FieldError, InvalidInput, TooLarge

#: Most values (objects, arrays, and what is in them) that are parsed at a time.
MOST_VALUES: Final = 100_000
#: Most members of the object that a body is: far more than any operation knows.
_MOST_MEMBERS: Final = 1000
#: Most objects and arrays of a batch.
_MOST_IN_BATCH: Final = 1_000_000

_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
#: Up to the next string; then that string, or a quotation mark that has no other.
_PLAIN_THEN_STRING: Final = re.compile(rb'([^"]*+)(?:' + _STRING + rb'|")?', re.DOTALL)
#: Up to the next bracket that is not in a string; between two jobs or members, up to the next comma as well.
_TO_BRACKET: Final = re.compile(rb'(?:[^"{}\[\]]++|' + _STRING + rb")*+", re.DOTALL)
_TO_BRACKET_OR_COMMA: Final = re.compile(rb'(?:[^"{}\[\],]++|' + _STRING + rb")*+", re.DOTALL)
_TO_END_OF_STRING: Final = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
#: Bytes that are searched at a time: a search lets no other thread run.
_WINDOW: Final = 128 * 2**10
_BATCH_BEGINS: Final = re.compile(rb'[ \t\r\n]*+\{[ \t\r\n]*+"jobs"[ \t\r\n]*+:[ \t\r\n]*+\[')
_BATCH_ENDS: Final = re.compile(rb"[ \t\r\n]*+\}[ \t\r\n]*+")
_BLANK: Final = b" \t\r\n"


def require_few_values(body: bytes) -> None:
    """Require that JSON text has at most :data:`MOST_VALUES` values.

    Raises:
        TooLarge: it has more.
    """
    # Commas and brackets in strings count at first; nearly every body has few all the same.
    if _count(body) <= MOST_VALUES:
        return
    values = 0
    for strings, match in enumerate(_PLAIN_THEN_STRING.finditer(body)):
        values += _count(match[1])
        # Of a value there are at most two strings, its name and itself.
        if values > MOST_VALUES or strings > 2 * MOST_VALUES + 2:
            raise _too_many_values("The body")


def _too_many_values(what: str) -> TooLarge:
    return TooLarge(
        f"{what} has more than {MOST_VALUES} values. "
        "Upload large data as a file (POST /v1/files) and name it in the payload."
    )


def require_few_members(body: bytes) -> None:
    """Require that a JSON object has no more than a thousand members: Pydantic reports each one that is unknown.

    Raises:
        InvalidInput: it has more.
    """
    position, depth, members = 0, 0, 1
    while position < len(body):
        position = _next_mark(body, position, len(body), or_comma=depth == 1)
        match body[position : position + 1]:
            case b"{" | b"[":
                depth += 1
            case b"}" | b"]":
                depth -= 1
            case b",":
                members += 1
                if members > _MOST_MEMBERS:
                    detail = f"there are more than {_MOST_MEMBERS} fields"
                    raise InvalidInput("The body does not fit.", [FieldError(detail, "")])
            case _:
                return  # not JSON, as the parser will say
        position += 1


def _count(text: bytes) -> int:
    return text.count(b",") + text.count(b"{") + text.count(b"[")


def too_many_jobs(most: int) -> InvalidInput:
    """Return the error for a batch of more jobs."""
    return InvalidInput(
        f"The batch has more than {most} jobs. Split it.", [FieldError(f"at most {most} jobs are allowed", "/jobs")]
    )


def is_batch(body: bytes) -> bool:
    """Return whether the body begins as a batch does: ``{"jobs": [``."""
    return _BATCH_BEGINS.match(body) is not None


def job_extents(body: bytes, *, most: int, largest: int) -> Iterator[tuple[int, int]]:
    """Yield where each job of a batch begins and ends in its body. Whether the jobs are JSON is not known then.

    Args:
        body: begins as a batch does.
        most: jobs that are allowed.
        largest: bytes of a job that are allowed.

    Raises:
        InvalidInput: there are more jobs, or there is something beside them.
        TooLarge: a job is larger, or all together have too many values.
        MalformedBody: the body ends within them.
    """
    head = _BATCH_BEGINS.match(body)
    begin = 0 if head is None else head.end()
    brackets = 0
    for index in range(most + 1):
        end, within = _end_of_job(body, begin, index, largest)
        brackets += within
        if brackets > _MOST_IN_BATCH:
            raise TooLarge(f"The batch has more than {_MOST_IN_BATCH} objects and arrays. Split it.")
        is_last = body[end : end + 1] == b"]"
        is_empty = is_last and index == 0 and not body[begin:end].strip(_BLANK)
        if not is_empty:
            if index == most:
                raise too_many_jobs(most)
            yield begin, end
        if is_last:
            if _BATCH_ENDS.fullmatch(body, end + 1) is None:
                raise InvalidInput("The body does not fit.", [FieldError("there must be nothing beside jobs", "")])
            return
        begin = end + 1


def _end_of_job(body: bytes, begin: int, index: int, largest: int) -> tuple[int, int]:
    """Return where the comma or bracket after a job is, and how many objects and arrays begin in the job."""
    position = begin
    depth = brackets = 0
    limit = min(begin + largest + 1, len(body))
    while True:
        position = _next_mark(body, position, limit, or_comma=not depth)
        if position > begin + largest:
            raise TooLarge(
                f"Job {index} of the batch has more than {largest} bytes. "
                "Upload large data as a file (POST /v1/files) and name it in the payload."
            )
        match body[position : position + 1]:
            case b"{" | b"[":
                depth += 1
                brackets += 1
                if brackets > MOST_VALUES:
                    raise _too_many_values(f"Job {index} of the batch")
            case b"}" | b"]" if depth:
                depth -= 1
            case b"," | b"]":
                return position, brackets
            case _:
                raise MalformedBody(f"The body is not JSON: job {index} of the batch has no end.")
        position += 1


def _next_mark(body: bytes, position: int, limit: int, *, or_comma: bool) -> int:
    """Return where the next bracket (or comma) is that is in no string; ``limit`` where there is none before."""
    plain = _TO_BRACKET_OR_COMMA if or_comma else _TO_BRACKET
    while position < limit:
        stop = min(position + _WINDOW, limit)
        found = plain.match(body, position, stop)
        position = stop if found is None else found.end()
        if position < stop:
            if body[position : position + 1] != b'"':
                return position
            # A string that goes on beyond the window, or has no end.
            position = _end_of_string(body, position + 1, limit)
    return limit


def _end_of_string(body: bytes, position: int, limit: int) -> int:
    while position < limit:
        stop = min(position + _WINDOW, limit)
        found = _TO_END_OF_STRING.match(body, position, stop)
        position = stop if found is None else found.end()
        if body[position : position + 1] == b'"' and position < stop:
            return position + 1
        if stop == limit:
            break
    return limit
