"""The profile of a generated installation: its job types, its clients, its daily load, and its incidents."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Final


@dataclass(frozen=True, slots=True)
class Kind:
    """A job type."""

    type: str
    queue: str
    share: float
    """Weight among all jobs."""
    run: float
    """Median run of an attempt, in seconds."""
    spread: float
    """Standard deviation of its logarithm."""
    fails: float
    """Probability that an attempt fails on an ordinary day."""
    hopeless: float
    """Probability that a job fails in every attempt."""
    errors: tuple[tuple[str, str], ...]
    """Type and message of its errors, most frequent first."""
    max_retries: int = 3
    priority: int = 5


KINDS: Final = (
    Kind("email.send", "mail", 30, 0.18, 0.5, 0.012, 0.002, (("SMTPServerDisconnected", "Connection closed"),
         ("SMTPRecipientsRefused", "550 no such mailbox")), priority=7),
    Kind("invoice.render", "documents", 12, 1.4, 0.6, 0.006, 0.002, (("TemplateError", "Unknown field 'vat_id'"),)),
    Kind("spreadsheet.extract", "spreadsheets", 8, 9.0, 1.0, 0.015, 0.012, (("InvalidFileException", "Not a workbook"),
         ("MemoryError", "")), max_retries=2),
    Kind("image.thumbnail", "media", 18, 0.45, 0.7, 0.004, 0.003, (("UnidentifiedImageError", "Not an image"),)),
    Kind("video.transcode", "media", 1.5, 210.0, 1.1, 0.03, 0.01, (("FFmpegError", "Invalid data found"),),
         max_retries=1, priority=3),
    Kind("report.monthly", "reports", 0.5, 95.0, 0.8, 0.02, 0.004, (("QueryCanceled", "statement timeout"),),
         priority=2),
    Kind("webhook.deliver", "webhooks", 14, 0.3, 0.9, 0.05, 0.01, (("ConnectTimeout", "timed out"),
         ("HTTPStatusError", "503 Service Unavailable")), max_retries=8),
    Kind("search.reindex", "search", 7, 2.2, 0.9, 0.008, 0.001, (("ConnectionError", "Connection refused"),)),
    Kind("payment.capture", "payments", 6, 0.9, 0.4, 0.01, 0.004, (("CardDeclined", "insufficient funds"),
         ("GatewayTimeout", "no answer in 30 s")), priority=9),
    Kind("export.customer", "exports", 3, 33.0, 1.2, 0.012, 0.003, (("S3Error", "SlowDown"),), priority=4),
)  # fmt: skip

OWNERS: Final = (
    "billing",
    "shop",
    "marketing",
    "support",
    "mobile",
    "partners",
    "analytics",
    "warehouse",
    "legal",
    "ops",
)
OWNER_WEIGHTS: Final = tuple(1 / rank for rank in range(1, len(OWNERS) + 1))
"""A few clients submit most jobs."""


def load_at(hour: datetime) -> float:
    """Return the load of an hour (UTC): about 1 at noon of a working day, a tenth at night, less on weekends."""
    day = math.exp(-(((hour.hour + 0.5 - 13) / 4.2) ** 2))
    weekend = 0.35 if hour.weekday() >= 5 else 1.0
    return 0.1 + 0.9 * day * weekend


@dataclass(frozen=True, slots=True)
class Incident:
    """Hours in which a job type fails often and its queue is behind."""

    kind: Kind
    first: datetime
    last: datetime
    fails: float
    """Probability that an attempt fails."""
    delay: float
    """Median of the additional wait of the queue's jobs, in seconds."""


def incidents(hours: list[datetime], random: Random) -> list[Incident]:
    """Return random incidents, about one every four days."""
    chosen = []
    for _ in range(math.ceil(len(hours) / 96)):
        start = random.randrange(len(hours))
        end = min(start + random.randint(1, 5), len(hours) - 1)
        chosen.append(
            Incident(
                random.choice(KINDS),
                hours[start],
                hours[end],
                fails=random.uniform(0.2, 0.7),
                delay=random.choice([0.0, 30.0, 240.0]),
            )
        )
    return chosen
