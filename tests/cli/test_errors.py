"""Responses that are not a success: every one ends as a line or two on stderr and an exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

PROBLEM = "application/problem+json"
ID = "019aa1f0-0000-7000-8000-000000000001"


def test_a_problem_is_its_title_detail_and_pointers(run: Any, script: Any, response: Any) -> None:
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
    script.will(response(problem, 422, media_type=PROBLEM))
    ran = run("submit", "table.analyze")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines() == [
        "Error: The input is not valid: The payload does not fit job type 'table.analyze'.",
        "  /payload/file  Field required",
        "  /payload/delimiter  Input should be one character",
    ]


@pytest.mark.parametrize(
    ("status", "code"), [(400, 2), (403, 2), (404, 2), (409, 2), (422, 2), (429, 2), (500, 3), (503, 3)]
)
def test_exit_codes_of_problems(run: Any, script: Any, response: Any, status: int, code: int) -> None:
    problem = {"title": "No", "status": status, "detail": "because"}
    # Longer than a command waits by itself.
    script.will(response(problem, status, {"Retry-After": "3600"}, media_type=PROBLEM))
    ran = run("jobs", "retry", ID)
    assert (ran.code, ran.err) == (code, "Error: No: because\n")


def test_a_missing_key_is_named(run: Any, script: Any, response: Any) -> None:
    problem = {"title": "Unauthenticated", "status": 401, "detail": "Send a key.", "code": "unauthenticated"}
    script.will(response(problem, 401, media_type=PROBLEM))
    ran = run("queues")
    assert ran.code == 2
    assert ran.err == (
        "Error: The server asks for an API key. Set CALLBOARD_API_KEY to a valid API key; "
        "'callboard keys create' makes one.\n"
    )
    script.will(response(problem, 401, media_type=PROBLEM))
    assert "Unauthenticated: Send a key." in run("queues", CALLBOARD_API_KEY="cb_test_1_secret").err


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
    run: Any, script: Any, response: Any, body: bytes, status: int, headers: dict[str, str]
) -> None:
    script.will(response(body, status, headers, media_type="text/html"))
    ran = run("jobs", "retry", ID)
    assert ran.code == (3 if status >= 500 else 2)
    assert f"The server at {script.url} answered {status}" in ran.err
    assert "CALLBOARD_URL" in ran.err
    assert all(value in ran.err for value in headers.values())


@pytest.mark.parametrize(
    "arguments",
    [("watch", ID), ("jobs", "list"), ("jobs", "show", ID), ("jobs", "cancel", ID), ("workers",)],
)
def test_no_server(run: Any, closed_url: str, arguments: tuple[str, ...]) -> None:
    ran = run(*arguments)
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == (
        f"Error: No server answers at {closed_url} (Connection refused). "
        "Start one with 'callboard up', or set CALLBOARD_URL to where yours is.\n"
    )


def test_a_submission_waits_a_while_for_a_server_that_starts(
    run: Any, closed_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callboard.cli.options._START", 1.0)
    ran = run("submit", "x")
    assert (ran.code, ran.out) == (3, "")
    first, last = ran.err.splitlines()
    assert first == f"No server answers at {closed_url} (Connection refused). Waiting up to 1 seconds for it to start."
    assert last.startswith(f"Error: No server answers at {closed_url} (Connection refused). Start one with")


def test_a_page_that_is_no_export_is_not_written(run: Any, script: Any, response: Any, tmp_path: Path) -> None:
    script.will(*[response(b"<html>It works!</html>", media_type="text/html")] * 2)
    file = tmp_path / "jobs"
    file.write_text("as before")
    ran = run("history", "export")
    assert (ran.code, ran.out) == (2, "")
    assert f"The server at {script.url} answered 200" in ran.err
    assert run("history", "export", "-o", str(file)).code == 2
    assert file.read_text() == "as before"


def test_an_outage_is_told_and_outlasted(run: Any, script: Any, response: Any) -> None:
    unavailable = {"title": "Unavailable", "status": 503, "detail": "The database cannot be reached."}
    script.will(response(unavailable, 503, media_type=PROBLEM), response(drop=True))
    script.will(response({"items": [], "next_page_token": None}))
    ran = run("queues")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.splitlines() == [
        "Unavailable: The database cannot be reached.",
        "Trying again for 15 seconds.",
        "No queues.",
    ]


def test_a_submission_without_a_response_may_have_been_accepted(
    run: Any, script: Any, response: Any, job_type: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script.job_type = response(job_type("x"))
    monkeypatch.setattr("callboard.cli.options.RETRY_FOR", 0.0)
    monkeypatch.setattr("callboard.cli.options._START", 0.0)
    file = {"id": ID, "name": "a", "size": 0, "sha256": "", "media_type": "text/plain"}
    script.will(response(drop=True), response(drop=True), response(file, 201), response(drop=True))
    ran = run("submit", "x")
    assert ran.code == 3
    assert "may have been accepted" in ran.err
    own_key = script.asked[0].headers["Idempotency-Key"]
    assert f"--idempotency-key {own_key}: " in ran.err
    ran = run("submit", "x", "--idempotency-key", "k-1")
    assert ran.code == 3
    assert "same idempotency key" in ran.err
    assert script.asked[1].headers["Idempotency-Key"] == "k-1"
    (tmp_path / "a").touch()
    ran = run("submit", "x", "--file", f"file={tmp_path / 'a'}")
    assert ran.code == 3
    assert "callboard jobs list" in ran.err


def test_a_submission_whose_response_is_lost_is_sent_again(run: Any, script: Any, response: Any, job: Any) -> None:
    script.will(response(drop=True), response(job("queued"), 202, {"Idempotency-Replayed": "true"}))
    ran = run("submit", "x")
    assert (ran.code, ran.out) == (0, f"{ID}\n")
    assert "was there already" not in ran.err
    first, second = (asked.headers["Idempotency-Key"] for asked in script.asked)
    assert first == second


@pytest.mark.parametrize(
    ("end", "said"), [("/v1", "ends with /v1"), ("/v1/", "ends with /v1"), ("?a=1", "after '?'"), ("/#x", "after '?'")]
)
def test_a_url_of_something_on_the_server(run: Any, script: Any, end: str, said: str) -> None:
    ran = run("queues", CALLBOARD_URL=script.url + end)
    assert (ran.code, script.asked) == (2, [])
    assert said in ran.err
    assert "CALLBOARD_URL" in ran.err


def test_blanks_around_the_url_do_no_harm(run: Any, script: Any, response: Any) -> None:
    script.will(response({"items": [], "next_page_token": None}))
    assert run("queues", CALLBOARD_URL=f" {script.url}\n").code == 0


def test_a_server_without_tls_is_told(run: Any, script: Any) -> None:
    ran = run("queues", CALLBOARD_URL=script.url.replace("http://", "https://"))
    assert ran.code == 3
    assert "should the URL begin with http://" in ran.err


@pytest.mark.parametrize("key", ["s3cret\nkey", "s3crét"])
def test_a_key_that_cannot_be_sent_is_not_shown(run: Any, script: Any, key: str) -> None:
    ran = run("queues", CALLBOARD_API_KEY=key)
    assert (ran.code, script.asked) == (2, [])
    assert "CALLBOARD_API_KEY" in ran.err
    assert "s3cr" not in ran.err


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


def test_a_problem_cannot_steer_the_terminal(run: Any, script: Any, response: Any) -> None:
    script.will(response({"title": "\x1b[2J[bold]gone", "status": 400}, 400, media_type=PROBLEM))
    assert run("queues").err == "Error: \N{REPLACEMENT CHARACTER}[2J[bold]gone\n"


@pytest.mark.parametrize("arguments", [("submit", "x", "--tag", "a=\udcff"), ("jobs", "list", "--type", "\udcff")])
def test_an_argument_that_is_not_utf_8_is_named(run: Any, script: Any, arguments: tuple[str, ...]) -> None:
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert f"Argument {len(arguments)}, " in ran.err
    assert "is not UTF-8" in ran.err
    assert script.asked == []
