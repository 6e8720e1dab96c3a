"""The OpenAPI document against the server: schemathesis, stateful too, with all its checks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.contract.callboard import Callboard

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
TYPE = "diagnostics.echo"
LONGEST_WAIT = 0.2


def with_job_type(document: dict[str, Any], job_type: dict[str, Any]) -> dict[str, Any]:
    """Return the document for this server: its settings, and what /v1/job-types says of the type to submit."""
    schemas = document["components"]["schemas"]
    schemas["SubmitJob"]["properties"]["type"]["enum"] = [job_type["name"]]
    schemas["SubmitJob"]["properties"]["payload"] = job_type["payload_schema"]
    schemas["Payload"] = job_type["payload_schema"]
    _parameter(document, "/v1/run/{job_type}", "post", "job_type")["enum"] = [job_type["name"]]
    _parameter(document, "/v1/jobs/{job_id}", "get", "wait")["maximum"] = LONGEST_WAIT
    return document


def _parameter(document: dict[str, Any], path: str, method: str, name: str) -> dict[str, Any]:
    parameters = document["paths"][path][method]["parameters"]
    schema: dict[str, Any] = next(item["schema"] for item in parameters if item["name"] == name)
    return schema


def test_the_server_does_what_the_document_says(impatient: Callboard, tmp_path: Path) -> None:
    adam = impatient.client("adam")
    file = tmp_path / "openapi.json"
    document = with_job_type(adam.get("/openapi.json").json(), adam.get(f"/v1/job-types/{TYPE}").json())
    file.write_text(json.dumps(document))
    run = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION),
            "run", str(file), "--url", impatient.url,
        ],
        cwd=tmp_path,
        env={**os.environ, "CALLBOARD_CONTRACT_KEY": impatient.keys["adam"]},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert "API Links:" in run.stdout
