"""Two thousand readers of live streams on one api process."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from callboard.db.rules.states import Status
from callboard.db.settings import Settings
from tests.support.api_process import ApiProcess, api_process, many_files
from tests.support.factory import OUTCOMES, Factory

pytestmark = pytest.mark.faults

CROWD = 2000
FEW = 20
FOLLOWED = 20
#: Seconds; generous, for slow machines. What was measured is printed.
LATEST = 10.0
WINDOW = 3.0


class Listener:
    """A client of one stream, with the memory of a browser."""

    def __init__(self, path: str, seen: Counter[tuple[str, str, str]]) -> None:
        self.path = path
        self.seen = seen
        self.last_id = ""
        self.told: Counter[tuple[str, str]] = Counter()
        self.settled = asyncio.Event()

    async def listen(self, address: tuple[str, int]) -> None:
        """Read until the stream ends as it should."""
        reader, writer = await asyncio.open_connection(*address)
        resumed = f"Last-Event-ID: {self.last_id}\r\n" if self.last_id else ""
        writer.write(
            f"GET {self.path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{resumed}\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        kind = ""
        while size := int(await reader.readline(), 16):
            chunk = (await reader.readexactly(size + 2)).decode()
            for line in chunk.splitlines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    self._hear(kind, json.loads(value))
                elif name == "id":
                    self.last_id = value
                    self.settled.set()
        writer.close()

    def _hear(self, kind: str, data: dict[str, Any]) -> None:
        what = (data["id"], data["status"]) if kind == "job" else (self.path, kind)
        self.told[what] += 1
        self.seen[(kind, *what)] += 1


class Crowd:
    """Readers, half of all changes and half of the events of single jobs."""

    def __init__(self, api: ApiProcess, followed: list[UUID]) -> None:
        self._api = api
        self._followed = followed
        self.seen: Counter[tuple[str, str, str]] = Counter()
        self.listeners: list[Listener] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def grow(self, count: int) -> None:
        """Open streams until there are so many."""
        while len(self.listeners) < count:
            paths = ["/v1/jobs/stream"] * 25
            paths += [f"/v1/jobs/{self._followed[n % len(self._followed)]}/events" for n in range(25)]
            new = [Listener(path, self.seen) for path in paths[:: max(1, 50 // count)]][: count - len(self.listeners)]
            self.listeners += new
            await self.join(new, self._api)

    async def join(self, listeners: list[Listener], api: ApiProcess) -> None:
        for listener in listeners:
            listener.settled.clear()
        self.tasks += [asyncio.create_task(listener.listen(api.address)) for listener in listeners]
        async with asyncio.timeout(60):
            await asyncio.gather(*(listener.settled.wait() for listener in listeners))

    async def until(self, *what: tuple[tuple[str, str, str], int]) -> float:
        """Wait until so many readers have received each of these; return the seconds that it took."""
        begun = time.monotonic()
        while any(self.seen[each] < count for each, count in what):
            assert time.monotonic() - begun < LATEST, [(each, self.seen[each], count) for each, count in what]
            await asyncio.sleep(0.005)
        return time.monotonic() - begun


@pytest.fixture
def url(settings: Settings) -> str:
    assert settings.database_url is not None
    return settings.database_url.get_secret_value()


def transactions(url: str) -> int:
    """Return how many transactions there have been; sessions report theirs a while later, or when they end."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        row = connection.execute(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
        assert row is not None
        return int(row[0])


async def rate(url: str) -> float:
    """Return the transactions per second while nothing happens."""
    await asyncio.sleep(10.5)  # idle sessions report their earlier transactions after 10 seconds
    before, begun = await asyncio.to_thread(transactions, url), time.monotonic()
    await asyncio.sleep(WINDOW)
    return (await asyncio.to_thread(transactions, url) - before) / (time.monotonic() - begun)


def test_two_thousand_readers(
    settings: Settings, url: str, factory: Factory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They load the database like a few, each receives all events, and a restart loses and repeats nothing."""
    followed = [factory.submit(owner="local") for _ in range(FOLLOWED)]
    with many_files(CROWD + 500), api_process(settings, tmp_path) as api:
        measured = asyncio.run(_meet(api, url, settings, factory, followed, tmp_path))
    with capsys.disabled():
        print(f"\n{CROWD} readers: {measured}")


async def _meet(
    api: ApiProcess, url: str, settings: Settings, factory: Factory, followed: list[UUID], directory: Path
) -> str:
    crowd = Crowd(api, followed)
    await crowd.grow(FEW)
    quiet, memory = await rate(url), api.resident()
    await crowd.grow(CROWD)
    crowded = await rate(url)
    each = (api.resident() - memory) / (CROWD - FEW)
    assert crowded < quiet * 1.5 + 5
    assert each < 100_000
    half = CROWD // 2
    delays = []
    claims = {}
    for job_id in followed[:3]:
        new = str(await asyncio.to_thread(factory.submit, owner="local"))
        delays.append(await crowd.until((("job", new, "queued"), half)))
        claims[job_id] = await asyncio.to_thread(factory.claim, job_id)
        path = f"/v1/jobs/{job_id}/events"
        readers = sum(listener.path == path for listener in crowd.listeners)
        delays.append(
            await crowd.until((("job", str(job_id), "running"), half), (("started", path, "started"), readers))
        )
    api.process.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    async with asyncio.timeout(20):
        await asyncio.gather(*crowd.tasks)
    ended = time.monotonic() - begun
    assert await asyncio.to_thread(api.process.wait, 20) in (0, -signal.SIGTERM)
    for claimed in claims.values():
        await asyncio.to_thread(factory.end, claimed, OUTCOMES[Status.SUCCEEDED])
    with api_process(settings, directory) as second:
        back = [each for each in crowd.listeners if "stream" in each.path or UUID(each.path.split("/")[3]) in claims]
        back = back[:50] + back[-50:]
        for listener in back:
            listener.told.clear()
        crowd.tasks = []
        await crowd.join(back, second)
        last = str(await asyncio.to_thread(factory.submit, owner="local"))
        changes = [listener for listener in back if "stream" in listener.path]
        before = crowd.seen["job", last, "queued"]
        assert before in range(len(changes) + 1)
        await crowd.until((("job", last, "queued"), len(changes)))
        second.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            await asyncio.gather(*crowd.tasks)
    for listener in back:
        if "stream" in listener.path:
            expected = {(str(job_id), "succeeded"): 1 for job_id in claims} | {(last, "queued"): 1}
        else:
            expected = {(listener.path, "finished"): 1}
        assert listener.told == expected
    return (
        f"{quiet:.1f} transactions/s with {FEW}, {crowded:.1f} with all; {each / 1024:.1f} KiB each; the last heard "
        f"after {max(delays):.2f} s at most; all ended {ended:.2f} s after SIGTERM"
    )
