"""Retention rules: how long jobs are kept, by type and outcome."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from callboard.db.models import retention_rules
from callboard.db.rules.states import TERMINAL

ANY: Final = "*"
"""The type or outcome of a rule that covers all of them."""

FOR_EVER: Final = timedelta.max


@dataclass(frozen=True, slots=True)
class Rule:
    """Jobs of this type and outcome (or :data:`ANY`) are kept ``keep_days`` from their end."""

    type: str
    outcome: str
    keep_days: int | None
    """1 or more; None: for ever."""


class Rules:
    """All rules together. Pure."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = {
            (rule.type, rule.outcome): FOR_EVER if rule.keep_days is None else timedelta(days=rule.keep_days)
            for rule in rules
        }

    def __bool__(self) -> bool:
        """Whether any rule lets a job go."""
        return any(keep is not FOR_EVER for keep in self._rules.values())

    def keep(self, job_type: str, outcome: str) -> timedelta:
        """Return how long after its end such a job is kept.

        The most specific rule decides: that of type and outcome, then the type's, then the outcome's, then the general
        one. Without any it is :data:`FOR_EVER`.
        """
        for key in ((job_type, outcome), (job_type, ANY), (ANY, outcome), (ANY, ANY)):
            if key in self._rules:
                return self._rules[key]
        return FOR_EVER

    def longest(self, job_types: Iterable[str]) -> timedelta:
        """Return the longest that any job of these types is kept; zero for none."""
        return max((self.keep(name, outcome) for name in job_types for outcome in TERMINAL), default=timedelta(0))


def read_rules(connection: Connection) -> Rules:
    """Return the rules in force."""
    return Rules(list_rules(connection))


def list_rules(connection: Connection) -> Sequence[Rule]:
    """Return the rules, the general ones first."""
    columns = retention_rules.c
    statement = select(columns.type, columns.outcome, columns.keep_days).order_by(
        columns.type != ANY, columns.type, columns.outcome != ANY, columns.outcome
    )
    return [Rule(row.type, row.outcome, row.keep_days) for row in connection.execute(statement)]


def set_rule(connection: Connection, rule: Rule) -> None:
    """Store a rule in place of the one for the same type and outcome. In force once committed."""
    new = {"type": rule.type, "outcome": rule.outcome, "keep_days": rule.keep_days, "updated_at": func.now()}
    connection.execute(
        insert(retention_rules)
        .values(new)
        .on_conflict_do_update(
            index_elements=["type", "outcome"], set_={name: new[name] for name in ("keep_days", "updated_at")}
        )
    )


def unset_rule(connection: Connection, job_type: str, outcome: str) -> bool:
    """Remove a rule; False where there is none."""
    columns = retention_rules.c
    removed = connection.execute(
        delete(retention_rules).where(columns.type == job_type, columns.outcome == outcome)
    ).rowcount
    return removed == 1
