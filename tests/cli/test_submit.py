from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

PROBLEM = "application/problem+json"
ID = "019aa1f0-0000-7000-8000-000000000001"
FILE_ID = "019aa1f0-0000-7000-8000-00000000000f"


def test_the_id_alone_goes_to_stdout(run: Any, script: Any, response: Any, job: Any) -> None:
    script.will(response(job("queued"), 202))
    ran = run("submit", "table.analyze", CALLBOARD_API_KEY="cb_test_1_secret")
    assert (ran.code, ran.out, ran.err) == (0, f"{ID}\n", "")
    (asked,) = script.asked
    assert (asked.method, asked.path) == ("POST", "/v1/jobs")
    assert asked.json() == {"type": "table.analyze", "payload": {}}
    assert asked.headers["Authorization"] == "Bearer cb_test_1_secret"


def test_every_option_reaches_the_request(run: Any, script: Any, response: Any, job: Any) -> None:
    script.will(response(job("scheduled"), 202))
    ran = run(
        *("submit", "table.analyze", "--queue", "slow", "--priority", "9", "--delay", "1.5", "--max-retries", "0"),
        *("--time-limit", "30", "--tag", "case=1=2", "--tag", "kind=", "--unique-key", "u", "--idempotency-key", "i"),
        *("--scheduled-at", "2030-01-31T09:00:00+02:00", "--payload", '{"a": [1, null]}', "--json"),
        *("--expires-at", "2030-02-01T00:00:00Z", "--parent-id", FILE_ID),
    )
    assert ran.code == 0
    assert json.loads(ran.out)["id"] == ID
    (asked,) = script.asked
    assert asked.json() == {
        "type": "table.analyze",
        "payload": {"a": [1, None]},
        "queue": "slow",
        "priority": 9,
        "delay": 1.5,
        "max_retries": 0,
        "time_limit": 30.0,
        "tags": {"case": "1=2", "kind": ""},
        "unique_key": "u",
        "scheduled_at": "2030-01-31T07:00:00+00:00",
        "expires_at": "2030-02-01T00:00:00+00:00",
        "parent_id": FILE_ID,
    }
    assert asked.headers["Idempotency-Key"] == "i"


def test_payload_from_a_file_and_from_stdin(run: Any, script: Any, response: Any, job: Any, tmp_path: Path) -> None:
    (tmp_path / "payload.json").write_text('{"from": "file – é"}', encoding="utf-8")
    script.will(response(job("queued"), 202), response(job("queued"), 202))
    assert run("submit", "x", "--payload", f"@{tmp_path}/payload.json").code == 0
    assert run("submit", "x", "--payload", "-", stdin='["stdin"]').code == 0
    assert [asked.json()["payload"] for asked in script.asked] == [{"from": "file – é"}, ["stdin"]]


def test_a_file_is_uploaded_and_its_id_put_into_the_payload(
    run: Any, script: Any, response: Any, job: Any, job_type: Any, tmp_path: Path
) -> None:
    script.job_type = response(job_type("table.analyze"))
    content = bytes(range(256)) * 20_000
    (tmp_path / "orders.csv").write_bytes(content)
    uploaded = {"id": FILE_ID, "name": "orders.csv", "size": 1, "sha256": "0" * 64, "media_type": "text/csv"}
    script.will(response(uploaded, 201), response(job("queued"), 202))
    ran = run("submit", "table.analyze", "--payload", '{"delimiter": ";"}', "--file", f"file={tmp_path}/orders.csv")
    assert ran.code == 0
    upload, submission = script.asked
    assert (upload.method, upload.path) == ("POST", "/v1/files")
    boundary = upload.headers["Content-Type"].partition("boundary=")[2].encode()
    head, _, rest = upload.body.partition(b"\r\n\r\n")
    assert b'name="file"; filename="orders.csv"' in head
    assert b"Content-Type: text/csv" in head
    sent = rest.removesuffix(b"\r\n--" + boundary + b"--\r\n")
    assert hashlib.sha256(sent).digest() == hashlib.sha256(content).digest()
    assert submission.json()["payload"] == {"delimiter": ";", "file": FILE_ID}


def test_a_type_that_is_not_there_is_found_before_a_file_is_sent(run: Any, script: Any, tmp_path: Path) -> None:
    (tmp_path / "orders.csv").touch()
    ran = run("submit", "table.analyse", "--file", f"file={tmp_path}/orders.csv")
    assert (ran.code, ran.out, script.asked) == (2, "", [])
    assert "No such type" in ran.err


def test_a_refused_submission_leaves_no_file_behind(
    run: Any, script: Any, response: Any, job_type: Any, tmp_path: Path
) -> None:
    script.job_type = response(job_type("table.analyze"))
    (tmp_path / "orders.csv").touch()
    uploaded = {"id": FILE_ID, "name": "orders.csv", "size": 1, "sha256": "0" * 64, "media_type": "text/csv"}
    refused = {"title": "The input is not valid", "status": 422, "code": "invalid-input"}
    script.will(response(uploaded, 201), response(refused, 422, media_type=PROBLEM), response(b"", 204))
    ran = run("submit", "table.analyze", "--file", f"file={tmp_path}/orders.csv")
    assert (ran.code, ran.err) == (2, "Error: The input is not valid\n")
    assert [(asked.method, asked.path) for asked in script.asked][1:] == [
        ("POST", "/v1/jobs"),
        ("DELETE", f"/v1/files/{FILE_ID}"),
    ]


def test_an_option_that_the_server_refuses_is_named_as_its_flag(run: Any, script: Any, response: Any) -> None:
    errors = [
        {"detail": "at most 3600", "pointer": "/time_limit"},
        {"detail": "too long", "pointer": "/tags/case"},
        {"detail": "Field required", "pointer": "/payload/file"},
    ]
    refused = {"title": "The input is not valid", "status": 422, "code": "invalid-input", "errors": errors}
    script.will(response(refused, 422, media_type=PROBLEM))
    ran = run("submit", "x", "--time-limit", "99999")
    assert ran.err.splitlines()[1:] == [
        "  --time-limit  at most 3600",
        "  --tag case  too long",
        "  /payload/file  Field required",
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no device that is always full")
@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_an_id_that_stdout_cannot_take_is_told_all_the_same(
    script: Any, response: Any, job: Any, as_json: tuple[str, ...]
) -> None:
    script.will(response(job("queued"), 202))
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "callboard.cli", "submit", "x", *as_json],
            env={**os.environ, "CALLBOARD_URL": script.url},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (ran.returncode, ran.stderr.splitlines()) == (
        2,
        [f"Job {ID} is submitted.", "Error: stdout cannot be written: No space left on device."],
    )


def test_a_time_that_local_clocks_never_show(run: Any, script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        ran = run("submit", "x", "--scheduled-at", "2030-03-31T02:30", COLUMNS="200")
    time.tzset()
    assert (ran.code, script.asked) == (2, [])
    assert "'2030-03-31T02:30' does not exist in the local time zone" in ran.err


def test_a_job_that_was_there_already(run: Any, script: Any, response: Any, job: Any) -> None:
    script.will(response(job(), 200), response(job(), 202, {"Idempotency-Replayed": "true"}))
    for arguments in (("--unique-key", "u"), ("--idempotency-key", "i")):
        ran = run("submit", "x", *arguments)
        assert (ran.code, ran.out) == (0, f"{ID}\n")
        assert "was there already" in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Missing argument 'TYPE'"),
        (("x", "--payload", "{oops"), "is not JSON"),
        (("x", "--payload", "[NaN]"), "is not JSON"),
        (("x", "--payload", '"\\ud800"'), "is not JSON"),
        (("x", "--payload", "[" * 5000), "is not JSON"),
        (("x", "--idempotency-key", "two words"), "'two words' is not 1 to 255 visible ASCII characters"),
        (("x", "--payload", "@/nowhere/payload.json"), "cannot be read: No such file or directory"),
        (("x", "--file", "file"), "is not of the form FIELD=PATH"),
        (("x", "--file", "file=/nowhere/orders.csv"), "cannot be read: No such file or directory"),
        (("x", "--file", "file=/"), "Is a directory"),
        (("x", "--payload", "[1]", "--file", "file=/dev/null"), "JSON object"),
        (("x", "--payload", '{"file": 1}', "--file", "file=/dev/null"), "two values for 'file'"),
        (("x", "--file", "file=/dev/null", "--file", "file=/dev/null"), "two values for 'file'"),
        (("x", "--tag", "=v"), "is not of the form KEY=VALUE"),
        (("x", "--priority", "10"), "'--priority': '10' should be less than or equal to 9."),
        (("x", "--priority", "1.5"), "'--priority': '1.5' should be a valid integer."),
        (("x", "--priority="), "'--priority': '' should be a valid integer."),
        (("x", "--delay", "-1"), "'--delay': '-1' should be greater than or equal to 0."),
        (("x", "--delay", "nan"), "'--delay': 'nan' is not a number."),
        (("x", "--time-limit", "0"), "'--time-limit': '0' should be above 0."),
        (("x", "--scheduled-at", "tomorrow"), "is not a time"),
        (("x", "--expires-at", "9999-12-31T23:59:59-12:00"), "is not a time"),
    ],
)
def test_wrong_usage_sends_nothing(run: Any, script: Any, arguments: tuple[str, ...], said: str) -> None:
    ran = run("submit", *arguments, COLUMNS="200")
    assert (ran.code, ran.out, script.asked) == (2, "", [])
    assert said in " ".join(ran.err.replace("│", " ").split())
