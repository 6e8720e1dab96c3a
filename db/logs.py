"""Structured logs of every process: readable on a terminal, JSON lines elsewhere."""

from __future__ import annotations

import fcntl
import logging
import sys
from typing import Final, TextIO

import structlog
from structlog.typing import Processor

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
    renderer: Processor = readable if console else structlog.processors.JSONRenderer()
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    # One handler for all: two that write to one stream would tear each other's lines.
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_own_stderr())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *([] if console else [structlog.processors.format_exc_info]),
                renderer,
            ],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    if level > logging.DEBUG:
        for name in _CHATTY:
            logging.getLogger(name).setLevel(max(level, logging.WARNING))
        # An error for each failed attempt; our own log has one line for it.
        logging.getLogger("dramatiq.worker.WorkerThread").setLevel(logging.CRITICAL)
        # Half a dozen errors with tracebacks for each failed attempt to connect; our own log has one line for them.
        logging.getLogger("pika").setLevel(logging.CRITICAL)


def _own_stderr() -> TextIO:
    """Return a stream of the log alone: job code may close or replace ``sys.stderr``, also while others write."""
    try:
        copy = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, _LEAST_COPY)
    except OSError:  # the process was started without
        return sys.stderr
    return open(copy, "w", encoding="utf-8", errors="backslashreplace", buffering=1)  # noqa: PTH123
