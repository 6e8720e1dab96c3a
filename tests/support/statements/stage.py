"""What a call of a verb needs, and where it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from tests.support.factory import Factory


class Stage(Factory):
    """Makes what is needed beforehand, on connections of its own."""

    def do(self, call: Callable[[Connection], object]) -> None:
        """Make a call in a transaction of its own."""
        with self._database.begin() as connection:
            call(connection)


@dataclass(frozen=True, slots=True)
class Example:
    """A call with which functions send statements."""

    functions: tuple[Callable[..., object], ...]
    """Those that send just this. The first gives the file its name."""
    call: Callable[[Connection, Stage], object]
    case: str = ""
    """When it is so, where a function has several ways."""
    autocommit: bool = False
