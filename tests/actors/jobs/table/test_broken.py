"""Files that are no table: each fails with the line and the reason, and is not tried again."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from callboard.actors.jobs.table.models import TableReport
from callboard.actors.jobs.table.source import BrokenTable
from callboard.actors.types.registry import registry

Analyze = Callable[..., TableReport]

MANY = "".join(f'{number},"two\nlines",x\n' for number in range(30_000))

BROKEN: dict[str, tuple[str | bytes, dict[str, object], str]] = {
    "empty": (b"", {}, "The file is empty (0 bytes)."),
    "blank": ("\n \n\n", {}, "The file has no rows: the first 4 characters are blank."),
    "too few values": ("a,b,c\n1,2,3\n4,5\n", {}, "Line 3 has 2 values, but the first row has 3."),
    "one value": ("a,b,c\n1,2,3\n4\n5,6,7\n", {}, "Line 3 has 1 value, but the first row has 3."),
    "too many values": (
        "a,b,c\n1,2,3\n4,5,6,7,8\n9,9\n",
        {},
        "Line 3 has 5 values, but the first row has 3. 1 more row is broken, too.",
    ),
    "far below": (f"a,b,c\n{MANY}1,2\n{MANY}", {}, "Line 60002 has 2 values, but the first row has 3."),
    "carriage returns": (
        b"a,b\r\n1,2\r\n\r\n3\r\n",
        {},
        "Line 4 has 1 value, but the first row has 2.",
    ),
    "open quote": ('a,b\n1,2\n3,"4\n5,6\n', {}, "Line 3 has a quote that is not closed, or text after"),
    "text after a quote": ('a,b\n1,2\n3,"4"5\n', {}, "Line 3 has a quote that is not closed, or text after"),
    "open quote in a long file": (
        'a,b\n1,2\n3,4\n1,"2\n' + "3,4\n" * 600_000,
        {},
        "Line 4 has a quote that is not closed, or text after",
    ),
    "long row": (
        f'a,b\n1,2\n3,"{"x" * 2_000_000}"\n',
        {},
        "Line 3 is longer than 2,000,000 bytes: a quote may be opened in it and never closed.",
    ),
    "open quote in the header": ('a,"b\n1,2\n', {}, "Line 1, the first row, has a quote that is not closed"),
    "not UTF-8": (
        "a,b\n1,Köln\n2,Köln\n".encode("latin-1"),
        {},
        'not valid in utf-8. If the file is in another encoding, say in which, such as "encoding": "windows-1252".',
    ),
    "not UTF-8, far below": (b"a\n" + b"x\n" * 400_000 + b"\xff\n", {}, "Line 400002 holds the byte 0xff"),
    "not UTF-16": ("a,b\n1,2\n3,".encode("utf-16") + b"\x00\xdc\n\x00", {}, "Line 3 holds the byte"),
    "cut UTF-8": ("a,b\n1,é".encode()[:-1], {}, "Line 2 holds the byte 0xc3"),
    "not UTF-8, byte": (b"a\n\xf6\n", {}, "Line 2 holds the byte 0xf6, which is"),
    "NUL": (b"a,b\n1,\x00\n", {}, "Line 2 holds a NUL character, so the file is not text in utf-8."),
    "UTF-16 without a mark": ("a,b\n".encode("utf-16-le"), {}, 'If it is UTF-16, say so: "encoding": "utf-16".'),
    "workbook": (
        b"PK\x03\x04\x14\x00\x06\x00",
        {},
        "The file is a ZIP archive or an Excel workbook, not a table in text",
    ),
    "gzip": (b"\x1f\x8b\x08\x00", {}, "The file is compressed with gzip, not a table in text"),
    "same name twice": (
        "id,name,id\n1,2,3\n",
        {},
        "Line 1, the header, has the name 'id' 2 times, in columns 1 and 3. Rename all but one, or say",
    ),
    "too wide": ("," * 2_000, {}, "The first row has 2,001 values; a table may have 2,000 columns."),
    "delimiter in a null value": (
        "a,b\n1,2\n",
        {"null_values": ["n,a"]},
        "The null value 'n,a' holds the delimiter ',', so no cell is it: leave it out.",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_line_and_reason(analyze_text: Analyze, name: str) -> None:
    content, options, message = BROKEN[name]

    with pytest.raises(BrokenTable, match=re.escape(message)):
        analyze_text(content, **options)


def test_many_broken_rows_are_counted_up_to_a_bound(analyze_text: Analyze) -> None:
    with pytest.raises(BrokenTable, match=r"Line 2 has 1 value.* 999 or more rows are broken, too\."):
        analyze_text("a,b\n" + "1\n" * 5_000, delimiter=",")


def test_it_is_not_tried_again() -> None:
    assert BrokenTable in registry.get("table.analyze").throws
