"""Reads of jobs: by id, lists, timelines, change feed, exports."""
