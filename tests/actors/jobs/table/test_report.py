"""The numbers of a report, on tables small enough to see through."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from callboard.actors.jobs.table.models import AnalyzeTable, ColumnReport, TableReport
from callboard.actors.types.registry import registry
from callboard.db.errors import InvalidInput, NotFound

Analyze = Callable[..., TableReport]
FILE = "019aa1f0-7c00-7000-8000-000000000001"

TABLE = """\
id,name,price,born,seen,ok,gap
1,Köln,1.50,2024-02-29,2024-01-01T10:00:00,true,
2,Łódź,2.25,1999-12-31,2024-01-01 10:00,FALSE,
3,Köln,,2024-02-29,2024-01-02T00:00:00.5,true,
4,,10,0001-01-01,,,
4,,10,0001-01-01,,,
"""


def column(report: TableReport, name: str) -> dict[str, Any]:
    """Return one column without its name, and without what is empty."""
    found = next(column for column in report.columns if column.name == name)
    return {key: value for key, value in found.model_dump(exclude={"name"}).items() if value not in (None, [], 0)}


def values(frequent: list[dict[str, Any]]) -> list[tuple[Any, int]]:
    return [(item["value"], item["count"]) for item in frequent]


def test_whole_table(analyze_text: Analyze) -> None:
    report = analyze_text(TABLE)

    assert report.model_dump(exclude={"columns"}) == {
        "rows": 5,
        "column_count": 7,
        "duplicate_rows": 1,
        "bytes": len(TABLE.encode()),
        "encoding": "utf-8",
        "delimiter": ",",
        "header": True,
    }
    assert {column.name: column.type for column in report.columns} == {
        "id": "integer",
        "name": "text",
        "price": "number",
        "born": "date",
        "seen": "timestamp",
        "ok": "boolean",
        "gap": "empty",
    }


def test_numbers(analyze_text: Analyze) -> None:
    report = analyze_text(TABLE, quantiles=[0, 0.1, 0.5, 1], top=2)

    identifier = column(report, "id")
    assert (identifier["distinct"], identifier["min"], identifier["max"], identifier["mean"]) == (4, 1, 4, 2.8)
    assert [item["value"] for item in identifier["quantiles"]] == [1, 1.4, 3, 4]
    assert values(identifier["most_frequent"]) == [(4, 2), (1, 1)]
    price = column(report, "price")
    assert (price["nulls"], price["distinct"], price["min"], price["max"]) == (1, 3, 1.5, 10.0)
    assert price["mean"] == pytest.approx(23.75 / 4)
    assert [item["value"] for item in price["quantiles"]] == [1.5, pytest.approx(1.725), 6.125, 10.0]


def test_dates_and_texts(analyze_text: Analyze) -> None:
    report = analyze_text(TABLE, top=1)

    assert column(report, "born") == {
        "type": "date",
        "distinct": 3,
        "min": "0001-01-01",
        "max": "2024-02-29",
        "quantiles": [
            {"quantile": 0.25, "value": "0001-01-01"},
            {"quantile": 0.5, "value": "1999-12-31"},
            {"quantile": 0.75, "value": "2024-02-29"},
        ],
        "most_frequent": [{"value": "0001-01-01", "count": 2}],
    }
    seen = column(report, "seen")
    assert (seen["min"], seen["max"], seen["distinct"]) == ("2024-01-01T10:00:00", "2024-01-02T00:00:00.5", 2)
    assert column(report, "name") == {
        "type": "text",
        "nulls": 2,
        "distinct": 2,
        "min": "Köln",
        "max": "Łódź",
        "most_frequent": [{"value": "Köln", "count": 2}],
    }
    assert values(column(report, "ok")["most_frequent"]) == [(True, 2)]
    assert column(report, "gap") == {"type": "empty", "nulls": 5}


@pytest.mark.parametrize(
    ("cells", "type_"),
    [
        (["1", "-20", "+3", " 4 "], "integer"),
        (["999999999999999999", "-999999999999999999"], "integer"),
        (["1234567890123456789", "1"], "text"),  # more than 18 digits: an identifier
        (["01067", "80331"], "text"),  # a postal code
        (["1", "2.", ".5", "-1e-3", "NaN"], "number"),
        (["1", "x"], "text"),
        (["1_000"], "text"),
        (["true", "False"], "boolean"),
        (["true", "1"], "text"),
        (["2024-02-29", "9999-12-31"], "date"),
        (["2023-02-29"], "text"),  # no such day
        (["2024-01-01", "2024-01-01T23:59"], "timestamp"),
        (["2024-01-01T25:00"], "text"),
        (["2024-01-01T00:00Z", "2024-01-01T00:00:00+05:30"], "timestamp"),
        (["2024-01-01T00:00Z", "2024-01-01T00:00"], "text"),  # a time with and one without a zone do not compare
        (["", ""], "empty"),
    ],
)
def test_type_of_a_column(analyze_text: Analyze, cells: list[str], type_: str) -> None:
    report = analyze_text("a;b\n" + "".join(f"{cell};x\n" for cell in cells), delimiter=";", header=True)

    assert report.columns[0].type == type_


def test_a_late_value_decides_the_type(analyze_text: Analyze) -> None:
    report = analyze_text("n\n" + "".join(f"{number}\n" for number in range(30_000)) + "oops\n")

    assert report.columns[0].type == "text"
    assert report.columns[0].distinct == 30_001


def test_timestamps_with_an_offset_are_in_utc(analyze_text: Analyze) -> None:
    seen = analyze_text("t\n2024-01-01T00:00:00+05:30\n2024-01-01T00:00Z\n").columns[0]

    assert (seen.min, seen.max) == ("2023-12-31T18:30:00Z", "2024-01-01T00:00:00Z")


def test_not_a_number_and_infinity_are_set_apart(analyze_text: Analyze) -> None:
    report = analyze_text("x\n1.5\nNaN\n-inf\ninf\n2.5\n", top=9)

    number = report.columns[0]
    assert (number.type, number.non_finite, number.min, number.max, number.mean) == ("number", 3, 1.5, 2.5, 2.0)
    assert number.distinct == 5
    assert [item.value for item in number.most_frequent] == ["-Infinity", 1.5, 2.5, "Infinity", "NaN"]
    json.loads(report.model_dump_json(), parse_constant=pytest.fail)


def test_a_sum_beyond_doubles_has_no_mean(analyze_text: Analyze) -> None:
    number = analyze_text("x\n1.7e308\n1.6e308\n", quantiles=[0.5]).columns[0]

    assert number.mean is None
    assert number.quantiles[0].value == pytest.approx(1.65e308)


def test_long_texts_are_cut(analyze_text: Analyze) -> None:
    text = analyze_text(f"x\n{'é' * 5_000}\n{'é' * 5_001}\n").columns[0]

    assert text.distinct == 2
    assert text.max == "é" * 200 + "…"


def test_null_values(analyze_text: Analyze) -> None:
    report = analyze_text('a,b\n1,NA\n-,"NA"\n3,\n', null_values=["NA", "-"])

    assert [(item.type, item.nulls, item.distinct) for item in report.columns] == [("integer", 1, 2), ("empty", 3, 0)]


def test_equal_rows_differ_in_no_cell(analyze_text: Analyze) -> None:
    assert analyze_text("a,b\n1,2\n12,\n,12\n1,2\n1,2\n1.0,2\n").duplicate_rows == 2


def test_nothing_wanted(analyze_text: Analyze) -> None:
    only = analyze_text("a\n1\n2\n", top=0, quantiles=[]).columns[0]

    assert (only.most_frequent, only.quantiles, only.mean) == ([], [], 1.5)


def test_header_without_rows(analyze_text: Analyze) -> None:
    report = analyze_text("a,b\n")

    assert (report.rows, report.duplicate_rows) == (0, 0)
    assert report.columns == [
        ColumnReport(name="a", type="empty", nulls=0, distinct=0),
        ColumnReport(name="b", type="empty", nulls=0, distinct=0),
    ]


@pytest.mark.parametrize(
    "name", ['"; DROP TABLE records; --', "c0", "a'b", "$path", "{columns}", "a\nb", "value", "🎭"]
)
def test_names_never_become_sql(analyze_text: Analyze, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    report = analyze_text(f"{quoted},other\n1,{quoted}\n2,{quoted}\n")

    assert [item.name for item in report.columns] == [name, "other"]
    assert report.columns[1].max == name
    assert report.columns[0].mean == 1.5


def test_wide_table(analyze_text: Analyze) -> None:
    width = 200
    row = ",".join(str(number) for number in range(width))
    report = analyze_text(",".join(f"n{number}" for number in range(width)) + f"\n{row}\n{row}\n")

    assert report.duplicate_rows == 1
    assert [item.max for item in report.columns] == list(range(width))


def test_payload_is_checked_before_it_is_accepted() -> None:
    job_type = registry.get("table.analyze")

    assert job_type.queue == "tables"
    assert isinstance(job_type.validate_payload(job_type.example), AnalyzeTable)
    for wrong in (
        {"delimeter": ","},
        {"delimiter": '"'},
        {"delimiter": ",,"},
        {"top": 51},
        {"quantiles": [1.1]},
        {"encoding": "rot13"},
        {"null_values": ["a\x00"]},
    ):
        with pytest.raises(InvalidInput) as caught:
            job_type.validate_payload({"file": FILE, **wrong})
        assert caught.value.errors[0].pointer.startswith(f"/payload/{next(iter(wrong))}")


def test_every_field_is_described() -> None:
    job_type = registry.get("table.analyze")

    for name, field in job_type.payload.json_schema()["properties"].items():
        assert field.get("description"), name
    assert job_type.description.startswith("Describe a table")


def test_a_missing_file_is_not_tried_again(analyze_text: Analyze) -> None:
    with pytest.raises(NotFound):
        analyze_text("a\n1\n", file="019aa1f0-7c00-7000-8000-00000000ffff")
    assert NotFound in registry.get("table.analyze").throws
