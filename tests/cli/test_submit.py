from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

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
    run: Any, script: Any, response: Any, job: Any, tmp_path: Path
) -> None:
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
        (("x", "--priority", "10"), "--priority"),
        (("x", "--scheduled-at", "tomorrow"), "is not a time"),
        (("x", "--expires-at", "9999-12-31T23:59:59-12:00"), "is not a time"),
    ],
)
def test_wrong_usage_sends_nothing(run: Any, script: Any, arguments: tuple[str, ...], said: str) -> None:
    ran = run("submit", *arguments, COLUMNS="200")
    assert (ran.code, ran.out, script.asked) == (2, "", [])
    assert said in " ".join(ran.err.replace("│", " ").split())
