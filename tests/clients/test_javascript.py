"""``callboard.js`` in Node, against a running server; the tests themselves are in ``callboard.test.mjs``."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.proxy import LossyProxy
from tests.e2e.system import Embedded

_TESTS = Path(__file__).with_name("callboard.test.mjs")
_SOURCES = Path(__file__).parents[2] / "callboard" / "js"


@pytest.fixture(scope="module")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("node is not installed")
        pytest.skip("node is not installed")
    return found


def test_in_node(node: str, system: Embedded, url: str) -> None:
    elsewhere = {"CALLBOARD_URL": "http://127.0.0.1:7", "CALLBOARD_API_KEY": "cb_from_the_environment"}
    with LossyProxy(system.port, losses=1) as proxy:
        ran = subprocess.run(
            [node, "--test", "--test-reporter=spec", str(_TESTS)],
            env={**os.environ, "TEST_URL": url, "LOSSY_URL": proxy.url, **elsewhere},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert proxy.lost == 1


@pytest.mark.parametrize("name", ["callboard.js", "use-async-job.js"])
def test_every_module_is_one(node: str, name: str) -> None:
    source = (_SOURCES / name).read_bytes()
    ran = subprocess.run([node, "--input-type=module", "--check"], input=source, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode()


@pytest.mark.parametrize("name", ["callboard", "use-async-job"])
def test_every_module_has_its_types(name: str) -> None:
    assert (_SOURCES / f"{name}.d.ts").is_file()
