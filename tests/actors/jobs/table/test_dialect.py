"""How a table may be written, given or found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from callboard.actors.jobs.table.models import TableReport

Analyze = Callable[..., TableReport]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_found(analyze_text: Analyze, delimiter: str) -> None:
    report = analyze_text(delimiter.join("abc") + "\n" + delimiter.join("123") + "\n")

    assert report.delimiter == delimiter
    assert [column.name for column in report.columns] == ["a", "b", "c"]


def test_decimal_commas_do_not_hide_the_semicolon(analyze_text: Analyze) -> None:
    report = analyze_text("a;b\n1,5;2,5\n3,5;4,5\n")

    assert (report.delimiter, report.column_count) == (";", 2)


@pytest.mark.parametrize("delimiter", ["¦", " ", "\\", "x", "'", "€"])
def test_any_character_can_be_the_delimiter(analyze_text: Analyze, delimiter: str) -> None:
    report = analyze_text(f"a{delimiter}b\n1{delimiter}2\n", delimiter=delimiter)

    assert [(column.name, column.max) for column in report.columns] == [("a", 1), ("b", 2)]


@pytest.mark.parametrize(
    ("table", "header"),
    [
        ("id,name\n1,x\n", True),
        ("name,city\nx,y\n", True),
        ("1,x\n2,y\n", False),
        ("x,2024-01-01\ny,2024-01-02\n", False),
        ("region,2023,2024\nx,1,2\n", False),
        ("no,2023,2024\n7,1,2\n", True),
        (",a\n1,2\n", True),
    ],
)
def test_header_is_found(analyze_text: Analyze, table: str, header: bool) -> None:
    report = analyze_text(table)

    assert report.header is header
    assert report.rows == table.count("\n") - header


def test_header_as_told(analyze_text: Analyze) -> None:
    report = analyze_text("1,2\n3,4\n", header=True)
    assert ([column.name for column in report.columns], report.rows) == (["1", "2"], 1)

    report = analyze_text("a,a\nb,b\n", header=False)
    assert ([column.name for column in report.columns], report.rows) == (["column_1", "column_2"], 2)


def test_columns_without_a_name_are_numbered(analyze_text: Analyze) -> None:
    report = analyze_text(",price,\n1,2,3\n", header=True)

    assert [column.name for column in report.columns] == ["column_1", "price", "column_3"]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends(analyze_text: Analyze, line_end: str, last: bool) -> None:
    table = line_end.join(["a,b", '1,"two\nlines"', "2,x"]) + (line_end if last else "")
    report = analyze_text(table.encode())

    assert report.rows == 2
    assert report.columns[1].min == "two\nlines"
    assert report.bytes == len(table)


def test_mixed_line_ends(analyze_text: Analyze) -> None:
    report = analyze_text(b"a,b\r\n1,2\n3,4\r5,6\r\n")

    assert [column.max for column in report.columns] == [5, 6]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks_tell_the_encoding(analyze_text: Analyze, encoding: str) -> None:
    report = analyze_text("näme,x\nŁódź,1\n".encode(encoding))

    assert report.columns[0].name == "näme"
    assert report.columns[0].max == "Łódź"
    assert report.encoding == encoding.removesuffix("-sig")


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("windows-1252", "€uro"), ("iso-8859-1", "Köln"), ("iso-8859-15", "€"), ("iso-8859-2", "Łódź"),
        ("windows-1250", "Plzeň"), ("windows-1251", "Москва"), ("koi8-r", "Москва"), ("shift_jis", "京都市"),
        ("euc-jp", "京都市"), ("gb18030", "北京"), ("big5", "臺北"), ("euc-kr", "서울"), ("utf-16", "🎭"),
    ],
)  # fmt: skip
def test_encodings(analyze_text: Analyze, encoding: str, text: str) -> None:
    report = analyze_text(f"city,n\n{text},1\n".encode(encoding), encoding=encoding)

    assert (report.columns[0].min, report.encoding) == (text, encoding)


def test_quotes(analyze_text: Analyze) -> None:
    report = analyze_text('a,b\n"x, ""y""\n\nz",1\n"",2\nin"side,3\n')

    assert report.columns[0].nulls == 1
    assert report.columns[0].max == 'x, "y"\n\nz'
    assert report.columns[0].min == 'in"side'


def test_blank_lines(analyze_text: Analyze) -> None:
    assert analyze_text("\n\na,b\n\n1,2\n\n\n3,4\n\n").rows == 2

    single = analyze_text("\na\n1\n\n2\n")
    assert (single.columns[0].name, single.rows, single.columns[0].nulls) == ("a", 3, 1)


def test_names_over_two_lines(analyze_text: Analyze) -> None:
    report = analyze_text('"a\nb",c\n1,2\n')

    assert ([column.name for column in report.columns], report.rows) == (["a\nb", "c"], 1)
