"""The commands against the whole system, as ``callboard up`` runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from callboard.demo.up_process import UpProcess
from tests.support.until import until

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("cli system")]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpProcess]:
    with UpProcess(tmp_path_factory.mktemp("up")) as system:
        system.wait_until_ready()
        yield system


@pytest.fixture
def call(run: Any, system: UpProcess) -> Callable[..., Any]:
    """Run ``callboard`` against the system."""

    def call(*arguments: str, **options: str) -> Any:
        return run(*arguments, CALLBOARD_URL=system.url, **options)

    return call


def submit(call: Callable[..., Any], *arguments: str) -> str:
    ran = call("submit", *arguments)
    assert (ran.code, ran.err) == (0, "")
    job_id = ran.out.removesuffix("\n")
    assert isinstance(job_id, str)
    return job_id


def test_a_result_is_gone_once_its_time_has_passed(call: Callable[..., Any]) -> None:
    job_id = submit(call, "diagnostics.echo", "--payload", '{"value": 1}', "--result-ttl", "0")
    assert call("watch", job_id).code == 0

    def shown() -> dict[str, Any]:
        job: dict[str, Any] = json.loads(call("jobs", "show", job_id, "--json").out)
        return job

    until(lambda: shown().get("payload") is None, within=60, every=0.5)
    assert (shown()["status"], shown()["result"], shown()["result_ttl"]) == ("succeeded", None, 0.0)


def test_a_job_is_submitted_watched_and_shown(call: Callable[..., Any]) -> None:
    job_id = submit(call, "diagnostics.echo", "--payload", '{"value": [1, "two"]}', "--tag", "case=9")
    ran = call("watch", job_id)
    assert (ran.code, ran.out.split()) == (0, ["value", "1,", "two"])
    shown = json.loads(call("jobs", "show", job_id, "--json").out)
    assert (shown["status"], shown["payload"], shown["tags"]) == ("succeeded", {"value": [1, "two"]}, {"case": "9"})
    assert [attempt["outcome"] for attempt in shown["attempts"]] == ["succeeded"]
    assert job_id in call("jobs", "show", job_id).out
    assert job_id in call("jobs", "list", "--tag", "case=9", "--status", "succeeded").out
    assert call("jobs", "list", "--tag", "case=none").err == "No jobs.\n"


def test_progress_is_seen_while_it_happens(call: Callable[..., Any]) -> None:
    ran = call("submit", "diagnostics.sleep", "--payload", '{"seconds": 2, "steps": 4}', "--watch")
    assert ran.code == 0
    assert any(line.startswith("running") and "%" in line for line in ran.err.splitlines())


def test_a_job_that_fails_exits_with_1(call: Callable[..., Any]) -> None:
    payload = '{"message": "no such sheet"}'
    ran = call("submit", "diagnostics.fail", "--payload", payload, "--max-retries", "0", "--watch")
    assert ran.code == 1
    assert ran.out.startswith("failed: ")
    assert "no such sheet" in ran.out


def test_a_waiting_job_is_cancelled(call: Callable[..., Any]) -> None:
    job_id = submit(call, "diagnostics.noop", "--delay", "3600")
    ran = call("jobs", "cancel", job_id)
    assert (ran.code, ran.out) == (0, f"{job_id} cancelled\n")
    assert call("watch", job_id).code == 1
    assert call("jobs", "cancel", job_id).code == 0, "asking twice is fine"


def test_a_file_is_uploaded_and_analyzed(call: Callable[..., Any], tmp_path: Path) -> None:
    table = tmp_path / "orders.csv"
    table.write_text("city,amount\n" + "".join(f"Bonn,{n}\n" for n in range(1000)), encoding="utf-8")
    ran = call("submit", "table.analyze", "--file", f"file={table}", "--watch", "--json")
    assert ran.code == 0
    result = json.loads(ran.out)["result"]
    assert (result["rows"], [column["name"] for column in result["columns"]]) == (1000, ["city", "amount"])


def test_problems_name_the_field(call: Callable[..., Any]) -> None:
    ran = call("submit", "diagnostics.sleep", "--payload", '{"seconds": "long"}')
    assert (ran.code, ran.out) == (2, "")
    assert "/payload/seconds" in ran.err
    unknown = call("submit", "no.such.type")
    assert unknown.code == 2
    assert "no.such.type" in unknown.err
    missing = call("jobs", "show", "019aa1f0-0000-7000-8000-000000000001")
    assert missing.code == 2


def test_queues_and_workers(call: Callable[..., Any]) -> None:
    call("submit", "diagnostics.noop", "--watch")
    assert json.loads(call("queues", "--json").out)["items"]
    assert json.loads(call("workers", "--json").out)["items"]
    assert (call("queues").code, call("workers").code) == (0, 0)


def demo(directory: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "callboard.demo"],
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def processes_in(directory: Path) -> list[str]:
    """Return the command lines of the processes that work in ``directory`` or below."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(directory):
                found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


def test_the_demo_shows_its_job_in_sql_and_leaves_nothing_running(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        told, _ = process.communicate()
    assert process.returncode == 0, told
    assert "FROM callboard.job_history" in told
    assert "succeeded" in told
    assert processes_in(tmp_path) == []


def test_ctrl_c_ends_the_demo_and_leaves_nothing_running(tmp_path: Path, interruptible: None) -> None:
    with demo(tmp_path) as process:
        assert process.stdout is not None
        told = ""
        for line in process.stdout:
            told += line
            if line.startswith("Accepted as"):
                break
        assert processes_in(tmp_path)
        process.send_signal(signal.SIGINT)
        told += process.stdout.read()
    assert process.returncode == 130, told
    assert processes_in(tmp_path) == []
