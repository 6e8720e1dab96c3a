"""Writes docs/options.md from the declarations of options and filters: ``python docs/options_page.py``."""

from __future__ import annotations

from pathlib import Path

from callboard.db.reads.job_filter import CONDITIONS
from callboard.db.rules.new_job import OPTIONS, Kind, Option

PAGE = Path(__file__).with_name("options.md")

HEAD = """# Options and filters

What a submission may say beside `type` and `payload`, under the same name in `POST /v1/jobs`, in the clients, and as a
column of `callboard.jobs` and `callboard.job_history`. On the command line `max_retries` is `--max-retries`, and `tags`
is `--tag`, repeated. What is left out is as the job type says, or empty.

This page is made from `db/rules/new_job.py` and `db/reads/job_filter.py` by `python docs/options_page.py`.

| option | values | what it does |
|---|---|---|
"""

FILTERS = """
## Filters

What `GET /v1/jobs`, `/v1/jobs/stream` and `/v1/history/export` take as query parameters, and `POST /v1/jobs/bulk` as
`filter`. A job fits if all that are given hold. On the command line a tag is `KEY=VALUE`.

| filter | which jobs |
|---|---|
"""

_VALUES = {
    Kind.TEXT: "text",
    Kind.INTEGER: "integer",
    Kind.SECONDS: "seconds",
    Kind.TIME: "RFC 3339 time",
    Kind.JOB_ID: "id of a job",
    Kind.TAGS: "object of strings",
}


def page() -> str:
    """Return the text of docs/options.md."""
    options = [f"| `{name}` | {_values(option)} | {option.doc} |\n" for name, option in OPTIONS.items()]
    filters = [
        f"| `{condition.parameter}` | {condition.doc_of_query or condition.doc} |\n"
        for condition in CONDITIONS.values()
    ]
    return HEAD + "".join(options) + FILTERS + "".join(filters)


def _values(option: Option) -> str:
    kind = _VALUES[option.kind]
    if option.max_length is not None:
        return f"{kind} of {option.min_length or 1} to {option.max_length} characters"
    if option.most is not None:
        return f"{kind}, {option.least or 0:g} to {option.most:,.0f}"
    if option.above is not None:
        return f"{kind}, above {option.above:g}"
    return kind if option.least is None else f"{kind}, {option.least:g} or more"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
