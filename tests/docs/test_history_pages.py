"""The pages about history say what the database does."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import psycopg
import pytest

from callboard.db.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
QUESTION = re.compile(r"^## \d+\. (.*?)$.*?^```sql\n(.*?)^```$\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
QUESTIONS = QUESTION.findall((DOCS / "query-cookbook.md").read_text(encoding="utf-8"))


def test_the_columns_are_those_of_the_database(settings: Settings) -> None:
    page = runpy.run_path(str(DOCS / "columns_page.py"))["page"]
    with psycopg.connect(settings.require_database_url()) as connection:
        described = page(connection)
    assert (DOCS / "history-columns.md").read_text(encoding="utf-8") == described, "run: python docs/columns_page.py"


def test_there_are_twenty_questions() -> None:
    assert len(QUESTIONS) == 20


@pytest.mark.parametrize(("query", "shown"), [pytest.param(sql, text, id=title) for title, sql, text in QUESTIONS])
def test_an_analyst_is_answered_with_the_columns_shown(settings: Settings, query: str, shown: str) -> None:
    with psycopg.connect(settings.require_database_url()) as connection:
        connection.execute("SET ROLE callboard_analyst")
        answer = connection.execute(query.encode()).description

    assert [column.name for column in answer or ()] == [name.strip() for name in shown.splitlines()[0].split("|")]
