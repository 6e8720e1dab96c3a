"""examples/orders.csv: what its README says, and what its report says."""

from __future__ import annotations

import csv
import runpy
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from callboard.actors.jobs.table.models import TableReport

Analyze = Callable[..., TableReport]
EXAMPLES = Path(__file__).parents[4] / "examples"
ORDERS = EXAMPLES / "orders.csv"


def test_it_is_made_again_to_the_byte(tmp_path: Path) -> None:
    script = runpy.run_path(str(EXAMPLES / "make_orders.py"))

    script["write"](tmp_path / "orders.csv")

    assert (tmp_path / "orders.csv").read_bytes() == ORDERS.read_bytes()


def test_its_report(analyze_text: Analyze) -> None:
    report = analyze_text(ORDERS.read_bytes())

    with ORDERS.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert [column.name for column in report.columns] == header
    assert report.rows == len(rows) >= 50_000
    assert report.duplicate_rows == len(rows) - len(set(map(tuple, rows))) > 100
    for index, column in enumerate(report.columns):
        cells = Counter(row[index] for row in rows)
        assert column.nulls == cells.pop("", 0)
        assert column.distinct == len(cells)
        assert [item.count for item in column.most_frequent] == [count for _, count in cells.most_common(5)]


def test_the_readme_tells_its_columns(analyze_text: Analyze) -> None:
    report = analyze_text(ORDERS.read_bytes())

    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    lines = [line.split("|")[1:3] for line in readme.splitlines() if line.startswith("| `")]
    assert [(name.strip(" `"), type_.strip()) for name, type_ in lines] == [
        (column.name, column.type) for column in report.columns
    ]
