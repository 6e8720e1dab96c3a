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
