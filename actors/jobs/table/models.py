"""What a ``table.analyze`` job takes and gives; shown as JSON schema in the API's documentation."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Encoding = Literal[
    "utf-8", "utf-16", "iso-8859-1", "iso-8859-2", "iso-8859-15", "windows-1250", "windows-1251", "windows-1252",
    "koi8-r", "shift_jis", "euc-jp", "gb18030", "big5", "euc-kr",
]  # fmt: skip
ColumnType = Literal["empty", "boolean", "integer", "number", "date", "timestamp", "text"]
Value = bool | int | float | str

_Share = Annotated[float, Field(ge=0, le=1)]
# A quote or a line break cannot stand in an unquoted cell, and a NUL byte in no cell.
_NullText = Annotated[str, Field(min_length=1, max_length=100, pattern=r'^[^"\r\n\x00]+$')]


class AnalyzeTable(BaseModel):
    """A table in a text file: one row a line, values apart by a delimiter, quoted as in RFC 4180."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: UUID = Field(description="Id of the uploaded file.")
    delimiter: str | None = Field(
        None,
        min_length=1,
        max_length=1,
        pattern=r'^[^"\r\n\x00]$',
        description="The character between two values. Not given: whichever of , ; tab | fits most rows.",
    )
    header: bool | None = Field(
        None,
        description="Whether the first row names the columns. Not given: it does, unless it holds a number or a date "
        "and is like the rows below it. Columns without a name are called column_1, column_2, …",
    )
    encoding: Encoding | None = Field(
        None, description="Not given: UTF-8, or UTF-16 where the file begins with its byte order mark."
    )
    null_values: list[_NullText] = Field(
        [], max_length=50, description="Texts that mean 'no value', such as NA. An empty cell always does."
    )
    top: int = Field(5, ge=0, le=50, description="How many of the most frequent values to report per column.")
    quantiles: list[_Share] = Field(
        [0.25, 0.5, 0.75], max_length=20, description="Which quantiles to report: 0.5 is the median."
    )


class Quantile(BaseModel):
    """The value below which a share of a column's values lies."""

    quantile: float = Field(description="The share, 0 to 1.")
    value: int | float | str = Field(
        description="Numbers are interpolated linearly between the two nearest values; of dates and timestamps it is "
        "the earlier of the two."
    )


class Frequent(BaseModel):
    """A value and how often it occurs."""

    value: Value
    count: int


class ColumnReport(BaseModel):
    """One column. Every count is exact, whatever the size of the table."""

    name: str
    type: ColumnType = Field(
        description="What all its values are. integer: up to 18 digits, without leading zeros. number: IEEE 754 "
        "double, so 15 digits are exact. date: YYYY-MM-DD. timestamp: ISO 8601; those with an offset are reported in "
        "UTC, with a Z. Anything else is text. empty: there is no value at all."
    )
    nulls: int = Field(description="Rows without a value.")
    non_finite: int = Field(
        0,
        description="Values of a number column that are NaN or infinite. Not in min, max, mean and quantiles.",
    )
    distinct: int = Field(
        description="Different values, compared as the column's type; exact. No value is not a value."
    )
    min: Value | None = Field(
        None,
        description="The least value, text by code point. Texts over 200 characters are cut, and end in an ellipsis.",
    )
    max: Value | None = Field(None, description="The greatest value, likewise.")
    mean: float | None = Field(None, description="Arithmetic mean of integers and numbers.")
    quantiles: list[Quantile] = Field([], description="The wanted quantiles of numbers, dates and timestamps.")
    most_frequent: list[Frequent] = Field(
        [], description="The most frequent values, most frequent first, equally frequent ones in ascending order."
    )


class TableReport(BaseModel):
    """What is in a table."""

    rows: int = Field(
        description="Rows, without the header. Blank lines do not count, unless there is only one column."
    )
    column_count: int
    duplicate_rows: int = Field(
        description="Rows that equal an earlier row in every cell, as text: so many could be dropped. Exact."
    )
    bytes: int = Field(description="Size of the file.")
    encoding: Encoding = Field(description="As given or found.")
    delimiter: str = Field(description="As given or found.")
    header: bool = Field(description="As given or found.")
    columns: list[ColumnReport]
