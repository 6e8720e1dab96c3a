"""Retention: deletes history by the rules that an operator has set, by whole months where possible."""

from callboard.db.history.retention.months import drop_month
from callboard.db.history.retention.rules import ANY, Rule, Rules, list_rules, read_rules, set_rule, unset_rule
from callboard.db.history.retention.sweep import START, Sweep, sweep
from callboard.db.history.retention.types import types_in

__all__ = [
    "ANY",
    "START",
    "Rule",
    "Rules",
    "Sweep",
    "drop_month",
    "list_rules",
    "read_rules",
    "set_rule",
    "sweep",
    "types_in",
    "unset_rule",
]
