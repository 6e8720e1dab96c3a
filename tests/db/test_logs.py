"""Logs: one line for each event, of libraries too."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import orjson

LINES = 300
THREADS = 4

WRITERS = f"""
import logging, sys, threading
import structlog
from callboard.db.logs import configure_logs
from callboard.db.settings import Settings

configure_logs(Settings(database_url="postgresql://nowhere/nothing", log_format="json"))
sys.setswitchinterval(1e-5)


def ours() -> None:
    for number in range({LINES}):
        structlog.get_logger("ours").warning("ours", number=number, long="x" * (number * 97 % 20_000))


def of_a_library() -> None:
    for number in range({LINES}):
        logging.getLogger("library").warning("library %s", "y" * (number * 89 % 20_000))


threads = [threading.Thread(target=each) for each in (ours, of_a_library) * {THREADS}]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_lines_of_many_threads_and_of_libraries_stay_whole() -> None:
    written = subprocess.run([sys.executable, "-c", WRITERS], capture_output=True, check=True, timeout=60)
    lines = [orjson.loads(line) for line in written.stderr.splitlines()]
    assert Counter(line["event"].split()[0] for line in lines) == {
        "ours": LINES * THREADS,
        "library": LINES * THREADS,
    }


LEVELS = """
import logging
import structlog
from callboard.db.logs import configure_logs
from callboard.db.settings import Settings

configure_logs(Settings(database_url="postgresql://nowhere/nothing", log_format="json"))
structlog.contextvars.bind_contextvars(request_id="r-1")
structlog.get_logger().debug("not shown")
structlog.get_logger().info("100 % shown", job="j-1")
try:
    key = "".join(["se", "cret"])
    raise LookupError("gone")
except LookupError:
    structlog.get_logger().exception("unexpected error")
    logging.getLogger("library").exception("of a library")
"""


def test_a_line_has_level_time_context_and_traceback() -> None:
    written = subprocess.run([sys.executable, "-c", LEVELS], capture_output=True, check=True, timeout=60)
    shown, ours, library = [orjson.loads(line) for line in written.stderr.splitlines()]
    assert {**shown, "timestamp": ""} == {
        "event": "100 % shown",
        "job": "j-1",
        "level": "info",
        "request_id": "r-1",
        "timestamp": "",
    }
    assert library["logger"] == "library"
    for line in (ours, library):
        assert line["level"] == "error"
        assert "LookupError: gone" in line["exception"]
        assert "'secret'" not in line["exception"], "variables are not shown: keys may be in them"


HOSTILE = """
import sys
import structlog
from callboard.db.logs import configure_logs
from callboard.db.settings import Settings

class Mute:
    def __repr__(self):
        raise RuntimeError("no")

configure_logs(Settings(database_url="postgresql://nowhere/nothing", log_format="json"))
log = structlog.get_logger()
loop = []
loop.append(loop)
log.info("odd", number=2**70, lone="a\\ud800b", mute=Mute(), loop=loop, keys={(1, 2): 3}, plain=[1, None])
log.info("kept", named={1: Mute})
"""


def test_no_value_of_a_field_is_an_error() -> None:
    written = subprocess.run([sys.executable, "-c", HOSTILE], capture_output=True, check=True, timeout=60)
    odd, kept = [orjson.loads(line) for line in written.stderr.splitlines()]
    assert (odd["event"], odd["level"], odd["plain"]) == ("odd", "info", [1, None])
    assert (odd["number"], odd["lone"], odd["loop"]) == (str(2**70), "a\ufffdb", "[[...]]")
    assert "RuntimeError" in odd["mute"]
    assert kept["named"] == {"1": "<class '__main__.Mute'>"}


QUIET = """
import sys
import structlog
from callboard.db.logs import configure_logs
from callboard.db.settings import Settings

configure_logs(Settings(database_url="postgresql://nowhere/nothing", log_format=sys.argv[1], log_level="warning"))
structlog.get_logger().info("not_shown")
try:
    raise LookupError("gone")
except LookupError:
    structlog.get_logger().bind(job_id="j-1").exception("shown")
"""


def test_the_level_decides_and_a_terminal_gets_text() -> None:
    written = subprocess.run([sys.executable, "-c", QUIET, "console"], capture_output=True, check=True, timeout=60)
    text = written.stderr.decode()
    assert "not_shown" not in text
    assert "job_id" in text
    assert "LookupError: gone" in text
    assert not text.startswith("{")


def test_a_process_without_stderr_logs_nothing_and_goes_on() -> None:
    program = f"import os\nos.close(2)\n{QUIET}\nprint('went on')"
    done = subprocess.run([sys.executable, "-c", program, "json"], capture_output=True, check=True, timeout=60)
    assert done.stdout == b"went on\n"
