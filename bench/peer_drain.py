"""A peer works off a backlog."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.drains import Measured, Record
from bench.peer_list import Peer
from bench.processes import BenchFailed, Child, stopping
from bench.services import Services
from tests.services.rabbitmq import fresh_vhost

#: The python of the peers, which `make bench` installs.
PYTHON = Path(__file__).parents[1] / ".venv-bench" / "bin" / "python"


class PeerContestant:
    """Jobs are submitted before the worker starts; the time from its start to the first tenth does not count."""

    def __init__(self, services: Services, peer: Peer, environment: dict[str, str]) -> None:
        self._services = services
        self._peer = peer
        self._environment = environment
        self._record = Record(environment["BENCH_DATABASE_URL"], peer.done)
        self._module = f"bench.peers.{peer.module}"
        self._log = services.directory / f"{peer.module}.log"
        self._do("install")

    def drain(self, jobs: int) -> Measured:
        """Lay up a backlog, work it off, and say how it went."""
        already = self._record.count()
        self._do("submit", str(jobs))
        worker = Child(self._module, "work", environment=self._environment, log=self._log, python=str(PYTHON))
        parts = {"worker": [worker.pid], **self._services.parts}
        with stopping([worker]):
            return self._record.watch(jobs, already=already, parts=parts, check=worker.check)

    def _do(self, *arguments: str) -> None:
        environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **self._environment}
        done = subprocess.run(
            [PYTHON, "-m", self._module, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BenchFailed(f"{self._module} {arguments[0]} failed:\n{done.stderr[-2000:]}")


@contextmanager
def peer_contestant(services: Services, peer: Peer) -> Iterator[PeerContestant]:
    """Yield a peer with a database and a vhost of its own."""
    with fresh_vhost(services.rabbitmq) as amqp_url:
        environment = {
            "BENCH_DATABASE_URL": services.new_empty_database(f"peer_{secrets.token_hex(4)}"),
            "BENCH_AMQP_URL": amqp_url,
            "BENCH_PROCESSES": str(peer.processes),
            "BENCH_OPTION": peer.option,
        }
        yield PeerContestant(services, peer, environment)
