"""Answers that are no success: every one ends as a line or two on stderr and an exit code."""

from __future__ import annotations

from typing import Any

import pytest

PROBLEM = "application/problem+json"
ID = "019aa1f0-0000-7000-8000-000000000001"


def test_a_problem_is_its_title_detail_and_pointers(run: Any, script: Any, answer: Any) -> None:
    problem = {
        "type": "/problems/invalid-input",
        "title": "The input is not valid",
        "status": 422,
        "detail": "The payload does not fit job type 'table.analyze'.",
        "code": "invalid-input",
        "errors": [
            {"detail": "Field required", "pointer": "/payload/file"},
            {"detail": "Input should be one character", "pointer": "/payload/delimiter"},
        ],
    }
    script.will(answer(problem, 422, media_type=PROBLEM))
    ran = run("submit", "table.analyze")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines() == [
        "Error: The input is not valid: The payload does not fit job type 'table.analyze'.",
        "  /payload/file  Field required",
        "  /payload/delimiter  Input should be one character",
    ]


@pytest.mark.parametrize(("status", "code"), [(401, 2), (404, 2), (409, 2), (429, 2), (500, 3), (503, 3)])
def test_exit_codes_of_problems(run: Any, script: Any, answer: Any, status: int, code: int) -> None:
    script.will(answer({"title": "No", "status": status, "detail": "because"}, status, media_type=PROBLEM))
    ran = run("jobs", "retry", ID)
    assert (ran.code, ran.err) == (code, "Error: No: because\n")


@pytest.mark.parametrize(
    ("body", "status", "headers"),
    [
        (b"<html>It works!</html>", 404, {}),
        (b"<html>It works!</html>", 200, {}),
        (b"[]", 200, {}),
        (b"", 301, {"Location": "https://elsewhere.example/v1/queues"}),
        (b"\xff\xfe", 502, {}),
    ],
)
def test_something_else_than_callboard_is_named(
    run: Any, script: Any, answer: Any, body: bytes, status: int, headers: dict[str, str]
) -> None:
    script.will(answer(body, status, headers, media_type="text/html"))
    ran = run("queues")
    assert ran.code == (3 if status >= 500 else 2)
    assert f"The server at {script.url} answered {status}" in ran.err
    assert "CALLBOARD_URL" in ran.err
    assert all(value in ran.err for value in headers.values())


@pytest.mark.parametrize(
    "arguments",
    [("submit", "x"), ("watch", ID), ("jobs", "list"), ("jobs", "show", ID), ("jobs", "cancel", ID), ("workers",)],
)
def test_no_server(run: Any, closed_url: str, arguments: tuple[str, ...]) -> None:
    ran = run(*arguments)
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == (
        f"Error: No server answers at {closed_url} (Connection refused). "
        "Start one with 'callboard up', or set CALLBOARD_URL to where yours is.\n"
    )


def test_a_submission_without_an_answer_may_have_been_accepted(run: Any, script: Any, answer: Any) -> None:
    script.will(answer(drop=True), answer(drop=True))
    ran = run("submit", "x")
    assert ran.code == 3
    assert "may have been accepted" in ran.err
    ran = run("submit", "x", "--idempotency-key", "k-1")
    assert ran.code == 3
    assert "same idempotency key" in ran.err
    assert [asked.headers.get("Idempotency-Key") for asked in script.asked] == [None, "k-1"]


def test_a_password_in_the_url_is_not_shown(run: Any, closed_url: str) -> None:
    ran = run("queues", CALLBOARD_URL=closed_url.replace("http://", "http://me:s3cret@"))
    assert ran.code == 3
    assert "s3cret" not in ran.err
    ran = run("queues", CALLBOARD_URL="me:s3cret@somewhere")
    assert ran.code == 2
    assert "CALLBOARD_URL" in ran.err
    assert "s3cret" not in ran.err


def test_settings_that_do_not_fit(run: Any) -> None:
    ran = run("queues", CALLBOARD_WORKER_THREADS="many")
    assert ran.code == 2
    assert ran.err.startswith("Error: Settings do not fit: CALLBOARD_WORKER_THREADS")
    assert len(ran.err.splitlines()) == 1


def test_a_problem_cannot_steer_the_terminal(run: Any, script: Any, answer: Any) -> None:
    script.will(answer({"title": "\x1b[2J[bold]gone", "status": 400}, 400, media_type=PROBLEM))
    assert run("queues").err == "Error: \N{REPLACEMENT CHARACTER}[2J[bold]gone\n"
