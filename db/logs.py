"""Structured logs of every process: readable on a terminal, JSON lines elsewhere."""

from __future__ import annotations

import fcntl
import logging
import sys
import threading
from contextlib import suppress
from typing import Any, Final, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor

from callboard.db.rules.text import shown, storable
from callboard.db.settings import Settings

#: The log's copy of stderr has at least this number: away from those that job code may close.
_LEAST_COPY: Final = 64

# Loggers of libraries that log every step of a connection at level info.
_CHATTY = ("httpx", "httpcore", "alembic", "dramatiq", "uvicorn.error")


def configure_logs(settings: Settings) -> None:
    """Send the logs of this process to stderr, those of libraries included. Call it once, at the entry point."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    # The default formatter shows the local variables of each frame, and so keys and passwords.
    readable = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    rendering: list[Processor] = [readable] if console else [structlog.processors.format_exc_info, _json_line]
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    # One handler for all: two that write to one stream would tear each other's lines.
    handler = logging.StreamHandler(_own_stderr())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    # Our own lines, several for each job, come to it rendered: records of ``logging`` would make each cost four times
    # as much.
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _lines,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    _lines.go_to(handler)
    if level > logging.DEBUG:
        for name in _CHATTY:
            logging.getLogger(name).setLevel(max(level, logging.WARNING))
        # An error for each failed attempt; our own log has one line for it.
        logging.getLogger("dramatiq.worker.WorkerThread").setLevel(logging.CRITICAL)
        # Half a dozen errors with tracebacks for each failed attempt to connect; our own log has one line for them.
        logging.getLogger("pika").setLevel(logging.CRITICAL)


class _Lines:
    """What structlog's loggers write to: the stream of a handler, under its lock, so that no line tears another's."""

    _stream: TextIO
    _lock: threading.RLock

    def go_to(self, handler: logging.StreamHandler[TextIO]) -> None:
        """Set the handler. The stream of an earlier one, in a process that is configured again, is closed."""
        earlier = getattr(self, "_stream", None)
        assert handler.lock is not None  # noqa: S101 (only of handlers that do not write themselves)
        self._stream, self._lock = handler.stream, handler.lock
        if earlier is not None and earlier is not sys.stderr:
            earlier.close()

    def info(self, line: str) -> None:
        """Write a line. One that cannot be written is dropped, as those of ``logging`` are: nobody could be told."""
        # Without stderr, with a full disk, after it was closed.
        with suppress(AttributeError, OSError, ValueError), self._lock:
            self._stream.write(f"{line}\n")
            self._stream.flush()

    debug = warning = error = critical = exception = info


_lines: Final = _Lines()


def _json_line(_logger: Any, _method: str, fields: EventDict) -> str:
    """Render a line as JSON. Whatever the values are, this raises nothing."""
    try:
        return orjson.dumps(fields, default=shown, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # integers of more than 64 bits, lone surrogates, what holds itself
        return orjson.dumps({storable(name): _plain(value) for name, value in fields.items()}).decode()


def _plain(value: object) -> object:
    if isinstance(value, str):
        return storable(value)
    try:
        return orjson.Fragment(orjson.dumps(value, default=shown, option=orjson.OPT_NON_STR_KEYS))
    except TypeError:
        return storable(shown(value))


def _own_stderr() -> TextIO:
    """Return a stream of the log alone: job code may close or replace ``sys.stderr``, also while others write."""
    try:
        copy = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, _LEAST_COPY)
    except OSError:  # the process was started without
        return sys.stderr
    return open(copy, "w", encoding="utf-8", errors="backslashreplace", buffering=1)  # noqa: PTH123
