"""That a run at another moment is one: whoever is asked for the time in it, says that one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from callboard.db.rules.ids import created_at_of
from tests.dates import __main__ as dates
from tests.dates.moments import MOMENTS, Moment
from tests.support.dated import build_clock, environment_at
from tests.support.servers import SYSTEM, WHEEL

ROOT = Path(__file__).parents[2]
#: Asks all who are asked in tests, and whether waits last as long as they should.
ASK = """
import json, sys, threading, time
from datetime import datetime

import psycopg

from callboard.db.rules.ids import new_id
from tests.services.postgres import private_postgres, system_binaries

def seconds(call):
    began = time.monotonic()
    call()
    return time.monotonic() - began

with private_postgres(system_binaries() if sys.argv[1] == "system" else None) as url:
    with psycopg.connect(url, autocommit=True) as connection:
        said = {
            "python": datetime.now().astimezone().isoformat(),
            "id": str(new_id()),
            "postgres": connection.execute("SELECT clock_timestamp()").fetchone()[0].isoformat(),
            "waited": [seconds(lambda: time.sleep(0.1)), seconds(lambda: threading.Event().wait(0.1))],
        }
        connection.execute("SET statement_timeout = '100ms'")
        try:
            connection.execute("SELECT pg_sleep(60)")
        except psycopg.errors.QueryCanceled:
            said["stopped"] = True
print(json.dumps(said))
"""


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A directory that PostgreSQL's user can reach, which is another one where the tests run as root."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory


def at(name: str) -> Moment:
    return next(moment for moment in MOMENTS if moment.name == name)


@pytest.mark.parametrize(("postgres", "moment"), [(SYSTEM, at("leap-day")), (WHEEL, at("new-york-autumn"))])
def test_everybody_says_that_it_is_the_moment(open_dir: Path, postgres: str, moment: Moment) -> None:
    environment = os.environ | environment_at(build_clock(open_dir), moment.at, moment.zone)
    asked = subprocess.run(
        [sys.executable, "-c", ASK, postgres], cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True
    )
    said = json.loads(asked.stdout)

    soon = moment.at + timedelta(minutes=5)
    python = datetime.fromisoformat(said["python"])
    assert moment.at <= python <= soon
    assert python.utcoffset() == timedelta(hours=0 if moment.zone == "UTC" else -5)  # in winter
    assert moment.at <= created_at_of(UUID(said["id"])) <= soon
    assert moment.at <= datetime.fromisoformat(said["postgres"]) <= soon
    assert all(0.1 <= waited < 60 for waited in said["waited"])
    assert said["stopped"]


def test_the_moments_are_what_they_are_said_to_be() -> None:
    def locally(name: str, hours_ago: int = 0) -> datetime:
        moment = at(name)
        return (moment.at - timedelta(hours=hours_ago)).astimezone(ZoneInfo(moment.zone))

    assert locally("first-of-month").month == 2
    assert locally("last-of-month").day == 1
    for place in ("berlin", "new-york"):
        spring, autumn = f"{place}-spring", f"{place}-autumn"
        assert locally(spring).hour == locally(spring, hours_ago=1).hour + 2
        assert locally(autumn).hour == locally(autumn, hours_ago=1).hour


def test_a_test_that_fails_at_a_moment_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "test_leap.py").write_text(
        "from datetime import date\n"
        "def test_next_year(): date.today().replace(year=date.today().year + 1)\n"
        "def test_tomorrow(): assert date.today()\n"
    )
    monkeypatch.setattr(dates, "TESTS", [str(tmp_path)])
    monkeypatch.setattr(sys, "argv", ["dates", "--moment", "leap-day", "--moment", "new-year"])

    assert dates.main() == 1
    told = capfd.readouterr().out
    assert re.search(r"\nleap-day: 1 failed\n  \S*test_leap\.test_next_year\nnew-year: passed\n$", told)
