"""Rollups: counts, sums and histograms of finished jobs by minute, hour and day; a summary reads no jobs."""

from callboard.db.history.rollups.following import count_anew, first_hour, follow, freeze, recount_next
from callboard.db.history.rollups.summary import Bucket, Dimension, summarise

__all__ = ["Bucket", "Dimension", "count_anew", "first_hour", "follow", "freeze", "recount_next", "summarise"]
