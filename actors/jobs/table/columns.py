"""One column of a table: its type and its statistics. All of them are exact.

Every query after the first reads the distinct values with their counts. The engine groups and sorts on disk if memory
does not suffice.
"""

# ruff: noqa: S608 - the SQL is made of this file's constants and of column numbers; all else is a parameter.

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from callboard.actors.jobs.table.engine import Engine
from callboard.actors.jobs.table.models import AnalyzeTable, ColumnReport, ColumnType, Frequent, Quantile
from callboard.actors.jobs.table.progress import Watch, part

_LONGEST_TEXT: Final = 200
"""Characters of a text that a report shows."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A type of column, in SQL over ``cell``: a text, not null, without spaces around it."""

    type: ColumnType
    fits: str
    value: str
    usable: str = "true"
    """Condition for a value to count in minimum, maximum, mean and quantiles."""
    total: str = "sum(NULL::DOUBLE)"
    """Sum of the column."""
    shown: str = "{}"
    """Format of a value in the report."""

    def show(self, expression: str) -> str:
        return self.shown.format(expression)

    @property
    def has_order(self) -> bool:
        return self.type in {"integer", "number", "date", "timestamp"}


_DATE: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME: Final = r"[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?"
_OFFSET: Final = r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)"

# The narrowest first: a column is of the first kind that fits all its values.
_KINDS: Final = (
    _Kind("boolean", fits="lower(cell) IN ('true', 'false')", value="cell::BOOLEAN"),
    # Leading zeros and more than 18 digits mark an identifier, which is a text.
    _Kind(
        "integer",
        fits="regexp_full_match(cell, '[+-]?(0|[1-9][0-9]{0,17})')",
        value="cell::BIGINT",
        total="sum(value::HUGEINT * count)",
    ),
    _Kind(
        "number",
        fits=r"""regexp_full_match(lower(cell),
            '[+-]?((0|[1-9][0-9]{0,17})(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]{1,3})?|[+-]?(nan|inf|infinity)')""",
        value="cell::DOUBLE + 0.0",  # no negative zero
        usable="isfinite(value)",
        total="fsum(value * count)",
    ),
    _Kind(
        "date",
        fits=f"regexp_full_match(cell, '{_DATE}') AND cell >= '0001' AND try_cast(cell AS DATE) IS NOT NULL",
        value="cell::DATE",
        shown="({})::VARCHAR",
    ),
    _Kind(
        "timestamp",
        fits=f"regexp_full_match(cell, '{_DATE}({_TIME})?') AND cell >= '0001' "
        "AND try_cast(cell AS TIMESTAMP) IS NOT NULL",
        value="cell::TIMESTAMP",
        shown="replace(({})::VARCHAR, ' ', 'T')",
    ),
    _Kind(
        "timestamp",
        fits=f"regexp_full_match(cell, '{_DATE}{_TIME}{_OFFSET}') AND cell >= '0001' "
        "AND try_cast(cell AS TIMESTAMPTZ) IS NOT NULL",
        value="make_timestamp(epoch_us(cell::TIMESTAMPTZ))",
        shown="replace(({})::VARCHAR, ' ', 'T') || 'Z'",
    ),
)
_TEXT: Final = _Kind("text", fits="true", value="text", shown=f"left({{}}, {_LONGEST_TEXT + 1})")

_CELLS: Final = "(SELECT trim(text) AS cell, text, count FROM texts WHERE text IS NOT NULL)"
_SAMPLE: Final = 1_000
"""Distinct values that rule out most kinds before all values are read."""


def describe_column(
    engine: Engine, index: int, name: str, *, rows: int, order: AnalyzeTable, watch: Watch
) -> ColumnReport:
    """Describe column ``c{index}`` of the engine's ``records``. ``rows``: number of records."""
    engine.query(
        f"CREATE OR REPLACE TEMP TABLE texts AS SELECT c{index} AS text, count(*) AS count FROM records GROUP BY ALL",
        watch=part(watch, 0.0, 0.3),
    )
    kind = _kind_of_texts(engine, part(watch, 0.3, 0.4))
    if kind is None:
        return ColumnReport(name=name, type="empty", nulls=rows, distinct=0)
    _tally(engine, kind, part(watch, 0.4, 0.6))
    usable_only = f"FILTER (WHERE {kind.usable})"
    distinct, filled, usable, total, least, greatest = engine.query(
        f"""SELECT count(*), sum(count)::BIGINT, coalesce(sum(count) {usable_only}, 0)::BIGINT,
                   {kind.total} {usable_only},
                   {kind.show(f"min(value) {usable_only}")}, {kind.show(f"max(value) {usable_only}")}
            FROM tally""",
        watch=part(watch, 0.6, 0.7),
    )[0]
    most_frequent = engine.query(
        f"SELECT {kind.show('value')}, count FROM tally ORDER BY count DESC, value LIMIT $top",
        {"top": order.top},
        watch=part(watch, 0.7, 0.75),
    )
    return ColumnReport(
        name=name,
        type=kind.type,
        nulls=rows - filled,
        non_finite=filled - usable,
        distinct=distinct,
        min=_json_value(least),
        max=_json_value(greatest),
        mean=_mean(total, usable),
        quantiles=_quantiles(engine, kind, usable, order.quantiles, part(watch, 0.75, 1.0)),
        most_frequent=[Frequent(value=_json_value(value), count=count) for value, count in most_frequent],
    )


def _kind_of_texts(engine: Engine, watch: Watch) -> _Kind | None:
    """Return the narrowest kind that fits all values, or None if there are no values."""
    tests = ", ".join(f"bool_and({kind.fits})" for kind in _KINDS)
    sample = engine.query(f"SELECT count(*), {tests} FROM (FROM {_CELLS} LIMIT {_SAMPLE})", watch=part(watch, 0.0, 0.1))
    sampled, *fits_sample = sample[0]
    if sampled == 0:
        return None
    for kind in itertools.compress(_KINDS, fits_sample):
        everything = f"SELECT bool_and({kind.fits}) FROM {_CELLS}"
        if sampled < _SAMPLE or engine.query(everything, watch=part(watch, 0.1, 1.0)) == [(True,)]:
            return kind
    return _TEXT


def _tally(engine: Engine, kind: _Kind, watch: Watch) -> None:
    """Make ``tally``: each distinct value of the column, in its type, with its count."""
    if kind is _TEXT:  # the texts are their own values
        engine.query(f"CREATE OR REPLACE TEMP VIEW tally AS SELECT text AS value, count FROM {_CELLS}", watch=watch)
        return
    engine.query(
        f"""CREATE OR REPLACE TEMP TABLE typed AS
            SELECT {kind.value} AS value, sum(count)::BIGINT AS count FROM {_CELLS} GROUP BY value""",
        watch=watch,
    )
    engine.query("CREATE OR REPLACE TEMP VIEW tally AS FROM typed", watch=watch)


def _quantiles(engine: Engine, kind: _Kind, usable: int, quantiles: Sequence[float], watch: Watch) -> list[Quantile]:
    """Return quantiles of the ``usable`` values, each the value at rank ``quantile * (usable - 1)``, from 0."""
    if not (kind.has_order and usable and quantiles):
        return []
    # 0.1 means a tenth here, not the double next to it.
    ranks = [Fraction(repr(quantile)) * (usable - 1) for quantile in quantiles]
    engine.query(
        f"CREATE OR REPLACE TEMP TABLE ordered AS FROM tally WHERE {kind.usable} ORDER BY value",
        watch=part(watch, 0.0, 0.8),
    )
    whole = [bound for rank in ranks for bound in (math.floor(rank), math.ceil(rank))]
    selected = ", ".join(["min(value) FILTER (WHERE upto > ?)"] * len(whole))
    values = engine.query(
        f"""SELECT {kind.show("value")} FROM (SELECT unnest([{selected}]) AS value
            FROM (SELECT value, sum(count) OVER (ROWS UNBOUNDED PRECEDING) AS upto FROM ordered))""",
        whole,
        watch=part(watch, 0.8, 1.0),
    )
    return [
        Quantile(quantile=quantile, value=_between(low, high, rank - math.floor(rank)))
        for quantile, rank, (low,), (high,) in zip(quantiles, ranks, values[::2], values[1::2], strict=True)
    ]


def _between(low: Any, high: Any, share: Fraction) -> float | str:
    if isinstance(low, str):
        return low
    value = Fraction(low) + (Fraction(high) - Fraction(low)) * share
    return int(value) if isinstance(low, int) and value.denominator == 1 else float(value)


def _mean(total: float | None, count: int) -> float | None:
    """Return the mean, or None if there are no values or the sum is beyond the range of doubles."""
    if total is None or count == 0:
        return None
    mean = total / count
    return mean if math.isfinite(mean) else None


def _json_value(value: Any) -> Any:
    """Return the value as JSON: NaN and infinities as text, long texts shortened."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        return value[:_LONGEST_TEXT] + "…"
    return value
