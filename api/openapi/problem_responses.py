"""OpenAPI of problem responses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from callboard.api.errors import NotDone, QuotaExceeded, Unauthenticated
from callboard.api.openapi import headers
from callboard.api.wire.problems import MEDIA_TYPE, PROBLEMS, Problem
from callboard.db.errors import StorageFull, Unavailable

Document = dict[str, Any]

SCHEMA: Final = "ProblemDetails"
_UNCODED: Final = "http-error"
_HEADERS: Final[Mapping[str, Document]] = {
    Unauthenticated.code: {"WWW-Authenticate": headers.CHALLENGE},
    NotDone.code: {"Retry-After": headers.RETRY_AFTER},
    QuotaExceeded.code: {
        "Retry-After": headers.required(headers.RETRY_AFTER),
        "RateLimit": headers.required(headers.RATE_LIMIT),
        "RateLimit-Policy": headers.required(headers.RATE_LIMIT_POLICY),
    },
    Unavailable.code: {"Retry-After": headers.required(headers.RETRY_AFTER)},
    StorageFull.code: {"Retry-After": headers.required(headers.RETRY_AFTER)},
}


def problem_answers(codes: Iterable[str | int]) -> Document:
    """Return the responses by status; ``codes``: of problems, or statuses of problems without a code."""
    by_status: defaultdict[int, list[Problem]] = defaultdict(list)
    for code in sorted(set(codes), key=str):
        problem = PROBLEMS[code] if isinstance(code, str) else _uncoded(code)
        by_status[problem.status].append(problem)
    return {str(status): _answer(by_status[status]) for status in sorted(by_status)}


def problem_examples(codes: Container[str | int]) -> Document:
    """Return an example of each of these kinds of problems, by its code."""
    return {
        code: {"summary": problem.title, "value": _example(problem)}
        for code, problem in PROBLEMS.items()
        if code in codes
    }


def _uncoded(status: int) -> Problem:
    phrase = HTTPStatus(status)
    return Problem(_UNCODED, status, phrase.phrase, phrase.description)


def _answer(problems: Sequence[Problem]) -> Document:
    content: Document = {"schema": {"$ref": f"#/components/schemas/{SCHEMA}"}}
    coded = [problem.code for problem in problems if problem.code != _UNCODED]
    if coded:
        content["examples"] = {code: {"$ref": f"#/components/examples/{code}"} for code in coded}
    response: Document = {
        "description": " ".join(f"`{problem.code}`: {problem.explanation}" for problem in problems),
        "content": {MEDIA_TYPE: content},
    }
    sent: Document = {}
    for problem in problems:
        sent |= _HEADERS.get(problem.code, {})
    if sent:
        response["headers"] = sent
    return response


def _example(problem: Problem) -> Document:
    example: Document = {
        "type": f"/problems/{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.explanation,
        "instance": "/v1/jobs",
        "code": problem.code,
    }
    if problem.status == HTTPStatus.UNPROCESSABLE_ENTITY:
        example["errors"] = [{"detail": "Input should be a valid string", "pointer": "/payload/sheets/0"}]
    return example
