"""The command line run in this process, and a server that responds by a script.

The script stands in for what a real server cannot be made to do at will: drop a connection, be overloaded, be something
else than Callboard. It knows no job.
"""

from __future__ import annotations

import io
import json
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from callboard.cli.app import main

JOB_ID = "019aa1f0-0000-7000-8000-000000000001"


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``callboard`` with arguments, stdin and environment, and return what came of it."""

    def run(*arguments: str, stdin: str = "", **environment: str) -> Ran:
        capsys.readouterr()
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["callboard", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Ran(code, captured.out, captured.err)

    return run


@dataclass(frozen=True)
class Response:
    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"
    drop: bool = False
    """Close the connection instead of responding."""
    hold: bool = False
    """Do not respond until the server closes."""


_NO_SUCH_TYPE = Response({"title": "Not found", "detail": "No such type."}, 404, media_type="application/problem+json")


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Script:
    """A server on a free port that sends its responses one after the other."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.job_type = _NO_SUCH_TYPE
        self.holding = threading.Event()
        """Set once a request is being held."""
        self._released = threading.Event()
        self._responses: list[Response] = []
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                if self.path.startswith("/v1/job-types/"):
                    # Asked for the order of a result's fields, and before an upload; the script is about all else.
                    response = script.job_type
                else:
                    script.asked.append(Asked(self.command, self.path, dict(self.headers.items()), body))
                    response = script._responses.pop(0)
                if response.hold:
                    script.holding.set()
                    script._released.wait()
                if response.drop or response.hold:
                    self.close_connection = True
                    return
                content = response.body if isinstance(response.body, bytes) else json.dumps(response.body).encode()
                if response.status == 304:
                    content = b""
                self.send_response(response.status)
                for name, value in {"Content-Type": response.media_type, **response.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_DELETE = do_GET  # noqa: N815 - as the next
            do_POST = do_GET  # noqa: N815 - the name is the base class's

            def log_request(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def will(self, *responses: Response) -> None:
        self._responses += responses

    @property
    def is_used_up(self) -> bool:
        return not self._responses

    def close(self) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    script = Script()
    monkeypatch.setenv("CALLBOARD_URL", script.url)
    yield script
    script.close()


@pytest.fixture
def closed_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An address that refuses connections: bound, so nobody else gets it, and not listening."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{holder.getsockname()[1]}"
        monkeypatch.setenv("CALLBOARD_URL", url)
        yield url


@pytest.fixture
def response() -> type[Response]:
    return Response


@pytest.fixture
def job() -> Callable[..., dict[str, Any]]:
    """Make a job as the API shows it."""

    def job(status: str = "running", **changes: Any) -> dict[str, Any]:
        return {
            "id": JOB_ID,
            "type": "table.analyze",
            "queue": "tables",
            "status": status,
            "done": status in {"succeeded", "failed", "cancelled", "expired"},
            "priority": 5,
            "owner": "local",
            "tags": {},
            "progress": None,
            "result": None,
            "error": None,
            "attempt": 1,
            "max_retries": 3,
            "time_limit": 600.0,
            "created_at": "2026-01-02T03:04:05.000Z",
            "scheduled_at": None,
            "started_at": "2026-01-02T03:04:06.000Z",
            "finished_at": "2026-01-02T03:04:08.500Z" if status == "succeeded" else None,
            "expires_at": None,
            "next_attempt_at": None,
            "cancel_requested_at": None,
            "result_ttl": None,
            "estimate": None,
            "waiting_for": None,
            "parent_id": None,
            "worker": "host-1.4711",
            "links": dict.fromkeys(("self", "result", "events", "attempts", "cancel"), f"/v1/jobs/{JOB_ID}"),
            **changes,
        }

    return job


@pytest.fixture
def job_type() -> Callable[[str], dict[str, Any]]:
    """Make a job type as the API shows it."""

    def job_type(name: str) -> dict[str, Any]:
        return {
            "name": name,
            "queue": "default",
            "description": f"What {name} does.",
            "defaults": {"priority": 5, "max_retries": 3, "time_limit": 60, "min_backoff": 1, "max_backoff": 60},
            "bounds": {
                "priority": {"minimum": 0, "maximum": 9},
                "max_retries": {"minimum": 0, "maximum": 3},
                "time_limit": {"exclusive_minimum": 0, "maximum": 60},
            },
            "payload_schema": {},
            "result_schema": {},
            "example": None,
        }

    return job_type


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let children be interrupted, also where this process runs in the background and ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CALLBOARD_URL", "CALLBOARD_API_KEY", "COLUMNS", "FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
