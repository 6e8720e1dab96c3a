"""Faults of the place where files are kept."""

from __future__ import annotations

import resource
from contextlib import suppress

import httpx

from tests.faults.deployment import WORKERS
from tests.faults.mix import Kind
from tests.faults.scenario import Stage, scenario

_NO_MORE_THAN = 2**21
_UPLOAD = 2**22


@scenario("files", "no room for files", resource="files", mixed=False)
def no_room(stage: Stage) -> None:
    """The kernel refuses to write files of more than 2 MiB (RLIMIT_FSIZE); jobs and uploads come with 4 MiB."""
    deployment = stage.deployment
    apis = [deployment.processes[name].pid for name in ("api-1", "api-2")]
    workers = [pid for name in WORKERS for pid in deployment.processes[name].children()]
    before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in (*apis, *workers)}
    for pid, (_, hard) in before.items():
        # Their logs are files, too, and grow on.
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (_NO_MORE_THAN, hard))
    stage.load.submit([stage.mix.of(Kind.ATTACHING) for _ in range(30)])
    refused = sum(_upload(url).is_server_error for url in deployment.urls for _ in range(3))
    stage.pause(4)
    for pid, limits in before.items():
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
    stored = sum(_upload(url).is_success for url in deployment.urls)
    stage.remarks.append(f"{refused} of 6 uploads refused meanwhile, {stored} of 2 stored afterwards")


def _upload(url: str) -> httpx.Response:
    return httpx.post(f"{url}/v1/files", files={"file": ("input.bin", bytes(_UPLOAD))}, timeout=20)
