"""The command as a process of its own: on a terminal, in a pipe, interrupted."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import pytest

ID = "019aa1f0-0000-7000-8000-000000000001"
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "callboard.cli", *arguments]


def on_a_terminal(arguments: Sequence[str], *, columns: int) -> tuple[int, str]:
    """Run the command on a terminal of its own, and return its exit code and all it wrote."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        command(*arguments), stdin=follower, stdout=follower, stderr=follower, env={**os.environ, "TERM": "xterm"}
    ) as process:
        os.close(follower)
        written = bytearray()
        while True:
            try:
                part = os.read(leader, 65_536)
            except OSError:  # Linux's way to say that the other side is closed
                break
            if not part:
                break
            written += part
    os.close(leader)
    return process.returncode, written.decode()


@pytest.mark.parametrize("columns", [40, 100])
def test_a_terminal_gets_a_bar_and_colours(script: Any, response: Any, job: Any, columns: int) -> None:
    half = {"percent": 45.0, "current": 9, "total": 20, "step": "Q3", "message": "Reading sheet Q3",
            "updated_at": "2026-01-02T03:04:07.000Z"}  # fmt: skip
    script.will(
        response(job(progress=half), headers={"ETag": '"1"'}),
        response(job(progress={**half, "percent": 90.0}), headers={"ETag": '"2"'}),
        response(job("succeeded", result={"rows": 50_000})),
    )
    code, written = on_a_terminal(["watch", ID], columns=columns)
    assert code == 0
    assert "\x1b[32m" in written
    plain = ESCAPE.sub("", written)
    assert "━" in plain
    assert "✓ succeeded" in plain
    assert "100%" in plain
    assert plain.rstrip().endswith("rows  50,000")
    assert all(len(line) <= columns for line in re.split(r"[\r\n]+", plain))


def test_a_pipe_gets_no_colours_and_whole_lines(script: Any, response: Any, job: Any) -> None:
    jobs = [job(owner="an-owner-with-a-long-name", type="a.job.type.with.a.name.that.is.long"), job("failed")]
    script.will(response({"items": jobs, "next_page_token": None}))
    # The environment as Python sees it: pytest loads readline, which puts COLUMNS into the one that a child inherits.
    ran = subprocess.run(command("jobs", "list"), capture_output=True, text=True, check=True, env={**os.environ})
    assert "\x1b" not in ran.stdout
    header, first, second = ran.stdout.splitlines()
    assert header.split() == ["id", "type", "status", "age", "attempt", "took", "queue", "owner"]
    assert "a.job.type.with.a.name.that.is.long" in first
    assert "an-owner-with-a-long-name" in first
    assert second.startswith(ID)


def test_a_terminal_without_utf_8_is_no_reason_to_fail(script: Any, response: Any, job: Any) -> None:
    script.will(response(job("succeeded", result={"city": "Zürich – ✓"})))
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    ran = subprocess.run(command("watch", ID), capture_output=True, env=environment, check=True)
    assert ran.stdout.split()[:2] == [b"city", b"Z?rich"]


def test_ctrl_c_ends_the_watch_and_not_the_job(script: Any, response: Any, job: Any, interruptible: None) -> None:
    script.will(response(job(), headers={"ETag": '"1"'}), response(hold=True))
    with subprocess.Popen(command("watch", ID), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert script.holding.wait(30)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == f"The job goes on. To see it again: callboard watch {ID}"
    assert {asked.method for asked in script.asked} == {"GET"}


def test_version() -> None:
    ran = subprocess.run(command("--version"), capture_output=True, text=True, check=True)
    assert ran.stdout == f"callboard {version('callboard')}\n"


def test_the_command_line_loads_neither_servers_nor_the_client() -> None:
    heavy = ["alembic", "dramatiq", "duckdb", "fastapi", "httpx", "obstore", "pika", "psycopg", "sqlalchemy", "uvicorn"]
    code = f"import sys, callboard.cli; print(*[name for name in {heavy} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
