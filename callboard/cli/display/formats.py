"""Numbers and times as people read them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime


def number(value: float) -> str:
    """Return a number with six significant digits, and thousands set apart from 10,000 on. Integers stay exact."""
    grouping = "," if abs(value) >= 10_000 else ""
    if isinstance(value, int):
        return f"{value:{grouping}d}"
    if 1e6 <= abs(value) < 1e15:
        return f"{value:,.1f}".removesuffix(".0")
    return f"{value:{grouping}.6g}"


def duration(seconds: float) -> str:
    """Return a length of time, 0 or more, in its two largest units."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"


def size(count: float) -> str:
    """Return a number of bytes, 0 or more, in the largest unit that fits."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def moment(time: datetime) -> str:
    """Return a time in the local time zone, to the second."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def age(time: datetime) -> str:
    """Return how long ago a time was, 0 if it is ahead: clocks differ."""
    return duration(seconds_between(time, datetime.now(UTC)))


def seconds_between(start: datetime, end: datetime) -> float:
    """Return the seconds from one time to another, 0 or more."""
    return max(0.0, (end - start).total_seconds())
