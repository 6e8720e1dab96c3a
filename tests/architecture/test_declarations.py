"""An option of submissions and a filter of lists are declared once; what is written out elsewhere agrees with that."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, get_type_hints
from uuid import UUID

import pytest
from typer.main import get_command

from callboard.api.openapi import models
from callboard.api.wire.rendering import job
from callboard.api.wire.requests import BulkFilter, SubmitJob
from callboard.cli.app import app
from callboard.client.options import Filters, SubmitOptions
from callboard.db.models import job_history, jobs
from callboard.db.models.job_view import live_columns
from callboard.db.reads.exports import COLUMNS
from callboard.db.reads.job_filter import CONDITIONS
from callboard.db.rules.new_job import OPTIONS, Kind
from tests.architecture.source import ROOT

STORED = [name for name, option in OPTIONS.items() if option.comment is not None]
SHOWN = [name for name, option in OPTIONS.items() if option.shown]
PARAMETERS = [condition.parameter for condition in CONDITIONS.values()]
TYPESCRIPT = (ROOT / "callboard" / "js" / "callboard.d.ts").read_text(encoding="utf-8")

#: What a client in Python may give for an option of each kind.
PYTHON: dict[Kind, set[Any]] = {
    Kind.TEXT: {str},
    Kind.INTEGER: {int},
    Kind.SECONDS: {float, timedelta},
    Kind.TIME: {datetime},
    Kind.JOB_ID: {UUID, str},
}


def interface(name: str) -> set[str]:
    """Return the fields of an interface of the JavaScript client."""
    found = re.search(rf"export interface {name}\b[^{{]*\{{(.*?)^\}}", TYPESCRIPT, re.DOTALL | re.MULTILINE)
    assert found is not None
    return set(re.findall(r"^  (\w+)\??:", found[1], re.MULTILINE))


def flags(*words: str) -> Iterator[str]:
    """Yield the flags of a command, such as ``--max-retries``."""
    command: Any = get_command(app)
    for word in words:
        command = command.commands[word]
    for parameter in command.params:
        yield from parameter.opts


def flag(name: str) -> str:
    return "--" + {"tags": "tag"}.get(name, name).replace("_", "-")


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_is_a_field_of_the_request(name: str) -> None:
    assert SubmitJob.model_fields[name].description == OPTIONS[name].doc


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_is_one_of_the_python_client(name: str) -> None:
    assert name in SubmitOptions.__annotations__, f"add {name!r} to SubmitOptions in callboard/client/options.py"
    kinds = PYTHON.get(OPTIONS[name].kind)
    hint = get_type_hints(SubmitOptions)[name]
    assert kinds is None or set(getattr(hint, "__args__", (hint,))) == kinds


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_is_one_of_the_javascript_client(name: str) -> None:
    assert name in interface("SubmitOptions"), f"add {name!r} to SubmitOptions in callboard/js/callboard.d.ts"


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_is_a_flag_of_the_command_line(name: str) -> None:
    assert flag(name) in flags("submit")


@pytest.mark.parametrize("name", STORED)
def test_an_option_has_a_column(name: str) -> None:
    assert {jobs.c[name].comment, job_history.c[name].comment} == {OPTIONS[name].comment}


@pytest.mark.parametrize("name", SHOWN)
def test_an_option_that_clients_see_is_shown_everywhere(name: str) -> None:
    assert name in COLUMNS
    assert name in {column.name for column in live_columns()}
    assert name in models.Job.model_fields, f"add {name!r} to Job in api/openapi/models.py"
    assert name in interface("Job"), f"add {name!r} to Job in callboard/js/callboard.d.ts"
    assert name in shown_job(), f"add {name!r} to job() in api/wire/rendering.py"


def shown_job() -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(column.name for column in live_columns())
    return job(row | {"status": "queued", "id": UUID(int=0)}, estimate=None)


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_filter_is_one_of_bulk_actions(name: str) -> None:
    assert name in BulkFilter.model_fields


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_filter_is_one_of_the_python_client(name: str) -> None:
    known = Filters.__annotations__
    assert {"tag": "tags"}.get(name, name) in known, f"add {name!r} to Filters in callboard/client/options.py"


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_filter_is_a_flag_of_the_command_line(name: str) -> None:
    assert flag(name) in flags("jobs", "list")


def test_clients_have_no_option_and_no_filter_of_their_own() -> None:
    assert SubmitOptions.__annotations__.keys() == OPTIONS.keys()
    own = {"idempotencyKey"}
    assert interface("SubmitOptions") - own == OPTIONS.keys()
    assert Filters.__annotations__.keys() - {"page_size"} == {*PARAMETERS, "tags"} - {"tag"}
