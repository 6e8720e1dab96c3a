"""Rollups: finished jobs, counted and measured by minute, hour and day, so that numbers cost the time asked for."""

from callboard.db.history.rollups.following import count_anew, first_hour, follow, freeze, recount_next
from callboard.db.history.rollups.summary import Bucket, Dimension, summarise

__all__ = ["Bucket", "Dimension", "count_anew", "first_hour", "follow", "freeze", "recount_next", "summarise"]
