"""Retention: history goes by rules that an operator set, a month at a time where all of it may go."""

from db.retention.months import drop_month
from db.retention.rules import ANY, Rule, Rules, list_rules, read_rules, set_rule, unset_rule
from db.retention.sweep import START, Sweep, sweep

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
    "unset_rule",
]
