"""Names of log events: what dashboards and alerts select by, so stable names and never sentences."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.architecture.source import modules

LEVELS = {"debug", "info", "warning", "error", "critical", "exception", "log"}
NAME = re.compile(r"[a-z][a-z0-9_]*")

#: ``run.log``: the words are the handler's own.
HANDLERS_OWN = "actors/execution/handler_run.py"


def test_events_have_snake_case_names() -> None:
    wrong = {
        (path, event)
        for path, tree in modules().items()
        if path != HANDLERS_OWN
        for event in events(tree)
        if event is None or not NAME.fullmatch(event)
    }

    assert wrong == set()


def test_the_handlers_own_words_are_the_only_ones_that_are_not_known_before() -> None:
    assert list(events(modules()[HANDLERS_OWN])) == [None]


def events(tree: ast.Module) -> Iterator[str | None]:
    """Yield the event of each call of a structlog logger; None where it is not a literal."""
    loggers = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and is_logger(node.value, set())
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in LEVELS and is_logger(value, loggers):
                yield event_of(node, position=1 if attr == "log" else 0)


def is_logger(node: ast.expr, loggers: set[str]) -> bool:
    """Return whether this is a logger: one of these names, ``structlog.get_logger()``, or what either was bound to."""
    match node:
        case ast.Name(id=name):
            return name in loggers
        case ast.Call(func=ast.Attribute(value=ast.Name(id="structlog"), attr="get_logger")):
            return True
        case ast.Call(func=ast.Attribute(value=value, attr="bind" | "new" | "try_unbind" | "unbind")):
            return is_logger(value, loggers)
    return False


def event_of(call: ast.Call, *, position: int) -> str | None:
    """Return the event of a call: its first argument, after the level of ``log``, or the keyword ``event``."""
    given = [keyword.value for keyword in call.keywords if keyword.arg == "event"] + call.args[position : position + 1]
    match given:
        case [ast.Constant(value=str(event))]:
            return event
    return None


@pytest.mark.parametrize(
    ("source", "event"),
    [
        ("log = structlog.get_logger(__name__)\nlog.info('queue_refused', queue='a')", "queue_refused"),
        ("log = structlog.get_logger()\nlog.bind(a=1).exception('A sentence.')", "A sentence."),
        ("log = structlog.get_logger().bind(a=1)\nlog.log(20, 'no_level')", "no_level"),
        ("structlog.get_logger().warning(event='by_keyword')", "by_keyword"),
        ("log = structlog.get_logger()\nlog.error(f'job {job_id}')", None),
        ("log = structlog.get_logger()\nlog.error(message)", None),
    ],
)
def test_the_check_sees_every_event(source: str, event: str | None) -> None:
    assert list(events(ast.parse(source))) == [event]
